import { createHash, createHmac } from 'node:crypto'
import { explainDatabaseUrl } from '../../migrations/database/database-url.ts'
import type { KubeObject } from '../api/object.ts'
import type { SecretKey } from '../desired/database/access.ts'
import { HASH_KEY_FIELD } from '../desired/hash-key.ts'
import { keyOf } from '../kube/object.ts'
import { SECRETS } from '../kube/resources.ts'
import type { SecretState } from '../plan/observed.ts'
import type { SecretReading } from '../plan/served-secret.ts'
import type { ReconcilerParts } from './parts.ts'
import { CREDENTIAL_FIELDS, type SecretContent } from './random-secrets.ts'

type Parts = Pick<ReconcilerParts, 'client'> & { caches: Pick<ReconcilerParts['caches'], 'Secret'> }
type Place = { namespace: string; name: string }
/** `key`: of a Secret with a URL in that key; none: the credentials of a managed database. */
type SecretPlace = Place & Partial<SecretKey>
type Look = { hashKey: string | undefined; signal: AbortSignal }
type Usable = { state: 'usable'; port?: number } & SecretReading

/** What was found in a Secret; never what is in it. */
export type Reading = Usable | Exclude<SecretState, { state: 'usable' }>

/**
 * What is known of the Secrets that lead to databases. Their content is looked at here and goes no further than a keyed hash.
 * Each is read once in each of its versions: the cache has its metadata, and another version is another object there.
 */
export class SecretReadings {
  /** By what the cache holds, so that a reading is gone with the version that it is of. */
  readonly #readings = new WeakMap<KubeObject, Map<string, Reading>>()
  readonly #hashKeys = new WeakMap<KubeObject, string>()

  /** Asks the API server where this version was not read yet, or where the cache knows of no Secret of that name. */
  async read({ client, caches }: Parts, at: SecretPlace, { hashKey, signal }: Look): Promise<Reading> {
    const seen = caches.Secret.get(keyOf({ metadata: at }))
    const memo = `${hashKey}/${at.key}`
    const known = seen && this.#readings.get(seen)?.get(memo)
    if (known !== undefined) return known
    const secret = await client.get<SecretContent>(SECRETS, at.namespace, at.name, { signal })
    if (secret === undefined) return { state: 'missing' }
    const reading = at.key === undefined ? credentials(secret, hashKey) : url(secret, at.key, hashKey)
    if (seen !== undefined) this.#note(seen, memo, reading)
    return reading
  }

  /** The key for hashes that a Secret holds; undefined where there is none. */
  async readHashKey({ client, caches }: Parts, at: Place, signal: AbortSignal): Promise<string | undefined> {
    const seen = caches.Secret.get(keyOf({ metadata: at }))
    const known = seen && this.#hashKeys.get(seen)
    if (known !== undefined) return known
    const secret = await client.get<SecretContent>(SECRETS, at.namespace, at.name, { signal })
    const key = secret?.data?.[HASH_KEY_FIELD] || undefined
    if (seen !== undefined && key !== undefined) this.#hashKeys.set(seen, key)
    return key
  }

  #note(seen: KubeObject, memo: string, reading: Reading): void {
    const readings = this.#readings.get(seen) ?? new Map<string, Reading>()
    this.#readings.set(seen, readings.set(memo, reading))
  }
}

function url(secret: SecretContent, key: string, hashKey: string | undefined): Reading {
  const encoded = secret.data?.[key]
  if (!encoded) return { state: 'keyMissing' }
  const text = Buffer.from(encoded, 'base64').toString('utf8').trim()
  const problem = explainDatabaseUrl(text)
  if (problem !== undefined) return { state: 'invalid', problem }
  const parsed = URL.canParse(text) ? new URL(text) : undefined
  if (parsed === undefined || !/^postgres(ql)?:$/.test(parsed.protocol)) {
    return { state: 'invalid', problem: 'it is not a URL that begins with postgresql://' }
  }
  if (hashKey === undefined) return { state: 'unread' }
  return { ...usable(secret, [key], hashKey), ...(parsed.port && { port: Number(parsed.port) }) }
}

function credentials(secret: SecretContent, hashKey: string | undefined): Reading {
  return hashKey === undefined ? { state: 'unread' } : usable(secret, CREDENTIAL_FIELDS, hashKey)
}

function usable(secret: SecretContent, fields: readonly string[], hashKey: string): Usable {
  const content = fields.map((field) => [field, secret.data?.[field] ?? ''])
  const digest = createHmac('sha256', hashKey).update(JSON.stringify(content)).digest('hex').slice(0, 32)
  return { state: 'usable', digest, former: formerVersion(secret) }
}

/** How earlier versions of the operator named a version of a Secret. */
export function formerVersion({ metadata }: KubeObject): string {
  return createHash('sha256').update(`${metadata.uid}/${metadata.resourceVersion}`).digest('hex').slice(0, 16)
}
