import { hash } from 'node:crypto'
import { decodeJwt, errors, type JWTPayload, jwtVerify } from 'jose'
import { LRUCache } from 'lru-cache'
import { TOKEN_AUDIENCE } from '../contract.ts'
import { Problem } from '../errors.ts'
import { type AllowList, accessOf, type ServiceAccount } from './allow-list.ts'
import { type Authenticator, bearerToken, type Caller, unauthorized } from './caller.ts'
import type { KeySet } from './key-set.ts'

// No symmetric algorithms: a public key must never be taken for a shared secret.
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA']
const CLOCK_TOLERANCE_SECONDS = 10
const CACHE_ENTRIES = 1_000
const CACHE_MS = 60_000

export type ServiceAccountRules = {
  keys: KeySet
  issuer: () => string
  allowList: () => AllowList
  namespace: () => string
}

type Checked = { account: ServiceAccount; validUntil: number; keyVersion: number }

/**
 * For AUTH=kubernetes: service account tokens with our audience, checked against the cluster's keys. A checked token is
 * taken as such for at most a minute, never past its end or a change of keys; the allow list is asked at each request.
 */
export class ServiceAccounts implements Authenticator {
  readonly #rules: ServiceAccountRules
  readonly #now: () => number
  readonly #checked = new LRUCache<string, Checked>({ max: CACHE_ENTRIES })

  /** `now` is the wall clock in milliseconds. */
  constructor(rules: ServiceAccountRules, now: () => number = Date.now) {
    this.#rules = rules
    this.#now = now
  }

  async authenticate(authorization: string | undefined): Promise<Caller> {
    const token = bearerToken(authorization)
    const account = await this.#account(token)
    const name = `${account.namespace}/${account.name}`
    const access = accessOf(account, this.#rules.allowList(), this.#rules.namespace())
    if (!access) throw new Problem('forbidden', `The service account ${name} is not on the allow list.`)
    return { name, access }
  }

  async #account(token: string): Promise<ServiceAccount> {
    await this.#rules.keys.keepFresh()
    // The digest, so that no credential lies about in memory.
    const digest = hash('sha256', token)
    const known = this.#checked.get(digest)
    if (known && known.validUntil > this.#now() && known.keyVersion === this.#rules.keys.version) return known.account
    const claims = await this.#verify(token)
    const account = accountOf(claims)
    this.#remember(digest, account, claims)
    return account
  }

  async #verify(token: string): Promise<JWTPayload> {
    const { keys, issuer } = this.#rules
    try {
      const { payload } = await jwtVerify(token, (header, input) => keys.find(header, input), {
        algorithms: ALGORITHMS,
        audience: TOKEN_AUDIENCE,
        clockTolerance: CLOCK_TOLERANCE_SECONDS,
        currentDate: new Date(this.#now()),
        issuer: issuer(),
        requiredClaims: ['exp', 'sub'],
      })
      return payload
    } catch (error) {
      if (error instanceof Problem) throw error
      throw unauthorized(reasonOf(error))
    }
  }

  #remember(digest: string, account: ServiceAccount, claims: JWTPayload): void {
    const validUntil = Math.min(this.#now() + CACHE_MS, (claims.exp ?? 0) * 1_000)
    this.#checked.set(digest, { account, validUntil, keyVersion: this.#rules.keys.version })
  }
}

/** The issuer of a token that is trusted already: the pod's own. */
export function issuerOf(token: string): string {
  const { iss } = decodeJwt(token.trim())
  if (iss === undefined) throw new Error('it is a token without an issuer')
  return iss
}

/** The subject decides; what Kubernetes says beside it may be missing, but must not say anything else. */
function accountOf(claims: JWTPayload): ServiceAccount {
  const [, namespace, name] = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(claims.sub ?? '') ?? []
  if (namespace === undefined || name === undefined) throw unauthorized('The token is not one of a service account.')
  const bound = claims['kubernetes.io'] as
    | { namespace?: unknown; serviceaccount?: { name?: unknown } }
    | null
    | undefined
  const isSame = (bound?.namespace ?? namespace) === namespace && (bound?.serviceaccount?.name ?? name) === name
  if (!isSame) throw unauthorized('The claims of the token name different accounts.')
  return { namespace, name }
}

/** What is wrong with a token, said to whoever holds it. */
function reasonOf(error: unknown): string {
  if (error instanceof errors.JWTExpired) return 'The token has expired.'
  if (!(error instanceof errors.JWTClaimValidationFailed)) return 'The token is not valid here.'
  if (error.claim === 'aud') return `The token is not for the audience ${TOKEN_AUDIENCE}.`
  return `The token is not valid here: its claim ${error.claim} is missing or not as expected.`
}
