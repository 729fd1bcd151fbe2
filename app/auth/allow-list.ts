import { ACCESS_LEVELS, type Access } from '../contract.ts'
import type { AuthLog } from './caller.ts'

/** A Kubernetes service account. */
export type ServiceAccount = { namespace: string; name: string }

type Entry = { namespace: string; serviceAccount: string; access: Access }

/** Which service account may do what; `own namespace` is every account of the service's own, with Write. */
export type AllowList = readonly Entry[] | 'own namespace'

const KEYS = 'access,namespace,serviceAccount'

/**
 * Reads the JSON of an allow list, again and again. An empty list means the own namespace, as long as none before it had an
 * entry: whoever takes the last entry away wants nobody to call, not everybody.
 */
export class AllowListReader {
  readonly #log: AuthLog
  #wasFilled = false

  constructor(log: AuthLog) {
    this.#log = log
  }

  /** Throws where the text has another form. */
  read(text: string): AllowList {
    const list = parse(text)
    if (list.length === 0 && !this.#wasFilled) return 'own namespace'
    if (list.length === 0) this.#log.warn({}, 'the allow list has no entry any more: nobody may call')
    this.#wasFilled = true
    return list
  }
}

/** What an account may do; undefined for nothing. */
export function accessOf(account: ServiceAccount, list: AllowList, ownNamespace: string): Access | undefined {
  if (list === 'own namespace') return account.namespace === ownNamespace ? 'Write' : undefined
  const levels = list
    .filter((entry) => entry.namespace === account.namespace && entry.serviceAccount === account.name)
    .map((entry) => ACCESS_LEVELS.indexOf(entry.access))
  return levels.length === 0 ? undefined : ACCESS_LEVELS[Math.max(...levels)]
}

function parse(text: string): Entry[] {
  const value: unknown = JSON.parse(text)
  if (Array.isArray(value) && value.every(isEntry)) return value
  const levels = ACCESS_LEVELS.join(', ')
  throw new Error(`it is not a list of {"namespace", "serviceAccount", "access"} with access one of ${levels}`)
}

function isEntry(value: unknown): value is Entry {
  if (typeof value !== 'object' || value === null || Object.keys(value).sort().join() !== KEYS) return false
  const { namespace, serviceAccount, access } = value as Record<string, unknown>
  return isName(namespace) && isName(serviceAccount) && (ACCESS_LEVELS as readonly unknown[]).includes(access)
}

function isName(value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}
