import { setTimeout as delay } from 'node:timers/promises'
import { createLocalJWKSet, errors, type FlattenedJWSInput, type JSONWebKeySet, type JWSHeaderParameters } from 'jose'
import { Problem } from '../errors.ts'
import type { AuthLog } from './caller.ts'
import { checkKeys } from './check-keys.ts'

type LocalKeys = ReturnType<typeof createLocalJWKSet>

const FRESH_MS = 10 * 60_000
const RETRY_MS = 10_000
const RETRY_WITHOUT_KEYS_MS = 1_000
const UNKNOWN_KEY_COOLDOWN_MS = 30_000
/** How long after the start of a fetch somebody waits for a key id that is not known. */
const UNKNOWN_KEY_WAIT_MS = 1_000

export type KeySetOptions = {
  /** Must end by itself: while there are no keys, requests wait for it. */
  fetch: () => Promise<JSONWebKeySet>
  log: AuthLog
  /** Told of each fetch that brought no keys. */
  onFailure?: (error: unknown) => void
  now?: () => number
}

/**
 * The public keys that tokens are checked against. Fetched again in the background by the first use after ten minutes, and
 * for a key id that is not known, at most every 30 s. Keys are replaced only by good ones: until then the last stay in use,
 * and nobody waits.
 */
export class KeySet {
  readonly #options: KeySetOptions
  readonly #now: () => number
  #keys: LocalKeys | undefined
  #ids = new Set<string | undefined>()
  #version = 0
  #fetchedAt = Number.NEGATIVE_INFINITY
  #triedAt = Number.NEGATIVE_INFINITY
  #lastTryFailed = false
  #pending: Promise<void> | undefined

  constructor(options: KeySetOptions) {
    this.#options = options
    this.#now = options.now ?? performance.now.bind(performance)
  }

  /** Grows with each fetch: what was concluded from older keys is void. */
  get version(): number {
    return this.#version
  }

  /** Starts a fetch where the keys are due for one; waits for it only while there are none at all. */
  async keepFresh(): Promise<void> {
    if (this.#now() - this.#fetchedAt < FRESH_MS) return
    const refresh = this.#refresh(this.#keys ? RETRY_MS : RETRY_WITHOUT_KEYS_MS)
    if (!this.#keys) await refresh
  }

  /** The key of a token, as jose asks for it. Rejects with `auth_unavailable` where it cannot be known at the moment. */
  async find(header: JWSHeaderParameters, token: FlattenedJWSInput): ReturnType<LocalKeys> {
    await this.keepFresh()
    try {
      return await this.#required()(header, token)
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey) || this.#ids.has(header.kid)) throw error
    }
    await this.#lookForNewKeys()
    return this.#required()(header, token)
  }

  #required(): LocalKeys {
    if (!this.#keys) throw unavailable()
    return this.#keys
  }

  async #lookForNewKeys(): Promise<void> {
    const refresh = this.#refresh(UNKNOWN_KEY_COOLDOWN_MS)
    await within(refresh, this.#triedAt + UNKNOWN_KEY_WAIT_MS - this.#now())
    if (this.#pending || this.#lastTryFailed) throw unavailable()
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
      const set = await this.#options.fetch()
      checkKeys(set)
      this.#keys = createLocalJWKSet(set)
      this.#ids = new Set(set.keys.map(({ kid }) => kid))
      this.#fetchedAt = this.#now()
      this.#version += 1
      this.#lastTryFailed = false
    } catch (error) {
      this.#lastTryFailed = true
      this.#report(error)
    }
  }

  #report(error: unknown): void {
    const consequence = this.#keys ? 'the last ones stay in use' : 'no caller can be checked until they are there'
    this.#options.log.warn({ error }, `the keys of the tokens cannot be fetched; ${consequence}`)
    this.#options.onFailure?.(error)
  }
}

/** Waits for the end of work that never fails, but not longer than `timeoutMs`. */
async function within(work: Promise<void>, timeoutMs: number): Promise<void> {
  if (timeoutMs <= 0) return
  const timer = new AbortController()
  const timeout = delay(timeoutMs, undefined, { signal: timer.signal }).catch(() => undefined)
  await Promise.race([work, timeout])
  timer.abort()
}

function unavailable(): Problem {
  const detail = 'The keys that tokens are checked against cannot be fetched at the moment; try again.'
  return new Problem('auth_unavailable', detail, { retryAfterSeconds: 5 })
}
