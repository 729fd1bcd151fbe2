import { createHash } from 'node:crypto'
import { explainDatabaseUrl } from '../../migrations/database/database-url.ts'
import type { KubeObject } from '../api/object.ts'
import type { SecretKey } from '../desired/database/access.ts'
import { keyOf } from '../kube/object.ts'
import { SECRETS } from '../kube/resources.ts'
import type { SecretState } from '../plan/observed.ts'
import type { ReconcilerParts } from './parts.ts'
import type { SecretContent } from './random-secrets.ts'

type Parts = Pick<ReconcilerParts, 'client'> & { caches: Pick<ReconcilerParts['caches'], 'secrets'> }
type Place = SecretKey & { namespace: string }

/**
 * What is known of the Secrets that lead to external databases. Their content is looked at here and goes no further. Each is
 * read once in each of its versions: the cache has its metadata, and another version is another object there.
 */
export class SecretReadings {
  /** By what the cache holds, so that a reading is gone with the version that it is of. */
  readonly #readings = new WeakMap<KubeObject, Map<string, SecretState>>()

  /** Asks the API server where this version was not read yet, or where the cache knows of no Secret of that name. */
  async read({ client, caches }: Parts, at: Place, signal: AbortSignal): Promise<SecretState> {
    const seen = caches.secrets.get(keyOf({ metadata: at }))
    const known = seen && this.#readings.get(seen)?.get(at.key)
    if (known !== undefined) return known
    const secret = await client.get<SecretContent>(SECRETS, at.namespace, at.name, { signal })
    if (secret === undefined) return { state: 'missing' }
    const state = stateOf(secret, at.key)
    if (seen !== undefined) this.#note(seen, at.key, state)
    return state
  }

  #note(seen: KubeObject, key: string, state: SecretState): void {
    const states = this.#readings.get(seen) ?? new Map<string, SecretState>()
    this.#readings.set(seen, states.set(key, state))
  }
}

function stateOf(secret: SecretContent, key: string): SecretState {
  const encoded = secret.data?.[key]
  if (!encoded) return { state: 'keyMissing' }
  const text = Buffer.from(encoded, 'base64').toString('utf8').trim()
  const problem = explainDatabaseUrl(text)
  if (problem !== undefined) return { state: 'invalid', problem }
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !/^postgres(ql)?:$/.test(url.protocol)) {
    return { state: 'invalid', problem: 'it is not a URL that begins with postgresql://' }
  }
  return { state: 'usable', version: secretVersion(secret), ...(url.port && { port: Number(url.port) }) }
}

/** Changes with the Secret, and tells nothing of what is in it. */
export function secretVersion({ metadata }: KubeObject): string {
  return createHash('sha256').update(`${metadata.uid}/${metadata.resourceVersion}`).digest('hex').slice(0, 16)
}
