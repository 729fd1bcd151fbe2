import { createLocalJWKSet, errors, type FlattenedJWSInput, type JSONWebKeySet, type JWSHeaderParameters } from 'jose'
import { Problem } from '../errors.ts'
import type { AuthLog } from './caller.ts'

type LocalKeys = ReturnType<typeof createLocalJWKSet>

const FRESH_MS = 10 * 60_000
const UNKNOWN_KEY_COOLDOWN_MS = 30_000
const FAILURE_COOLDOWN_MS = 1_000

export type KeySetOptions = { fetch: () => Promise<JSONWebKeySet>; log: AuthLog; now?: () => number }

/**
 * The public keys that tokens are checked against. Fetched again in the background after ten minutes of use, and at once for
 * a key id that is not known, at most every 30 s. While the key server is away the last keys stay in use.
 */
export class KeySet {
  readonly #fetch: () => Promise<JSONWebKeySet>
  readonly #log: AuthLog
  readonly #now: () => number
  #keys: LocalKeys | undefined
  #version = 0
  #fetchedAt = Number.NEGATIVE_INFINITY
  #triedAt = Number.NEGATIVE_INFINITY
  #lastTryFailed = false
  #pending: Promise<void> | undefined

  constructor(options: KeySetOptions) {
    this.#fetch = options.fetch
    this.#log = options.log
    this.#now = options.now ?? performance.now.bind(performance)
  }

  /** Grows with each fetch: what was concluded from older keys is void. */
  get version(): number {
    return this.#version
  }

  /** Starts a fetch where the keys are due for one; waits for it only where they are missing or twice as old. */
  async keepFresh(): Promise<void> {
    const ageMs = this.#now() - this.#fetchedAt
    if (ageMs < FRESH_MS) return
    const refresh = this.#refresh(FAILURE_COOLDOWN_MS)
    if (ageMs >= 2 * FRESH_MS) await refresh
  }

  /** The key of a token, as jose asks for it. Rejects with `auth_unavailable` where it cannot be known at the moment. */
  async find(header: JWSHeaderParameters, token: FlattenedJWSInput): ReturnType<LocalKeys> {
    await this.keepFresh()
    try {
      return await this.#required()(header, token)
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error
      await this.#refresh(UNKNOWN_KEY_COOLDOWN_MS)
      if (this.#lastTryFailed) throw unavailable()
      return this.#required()(header, token)
    }
  }

  #required(): LocalKeys {
    if (!this.#keys) throw unavailable()
    return this.#keys
  }

  /** Fetches, unless that was tried within the cooldown. Never rejects; callers at the same time share one fetch. */
  #refresh(cooldownMs: number): Promise<void> {
    if (this.#pending) return this.#pending
    if (this.#now() - this.#triedAt < cooldownMs) return Promise.resolve()
    this.#triedAt = this.#now()
    this.#pending = this.#replace().finally(() => {
      this.#pending = undefined
    })
    return this.#pending
  }

  async #replace(): Promise<void> {
    try {
      this.#keys = createLocalJWKSet(await this.#fetch())
      this.#fetchedAt = this.#now()
      this.#version += 1
      this.#lastTryFailed = false
    } catch (error) {
      this.#lastTryFailed = true
      const consequence = this.#keys ? 'the last ones stay in use' : 'no caller can be checked until they are there'
      this.#log.warn({ error }, `the keys of the tokens cannot be fetched; ${consequence}`)
    }
  }
}

function unavailable(): Problem {
  const detail = 'The keys that tokens are checked against cannot be fetched at the moment; try again.'
  return new Problem('auth_unavailable', detail, { retryAfterSeconds: 5 })
}
