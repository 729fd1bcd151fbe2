import { ACCESS_LEVELS, type Access } from '../contract.ts'

/** A Kubernetes service account. */
export type ServiceAccount = { namespace: string; name: string }

/** Which service account may do what. */
export type AllowList = { namespace: string; serviceAccount: string; access: Access }[]

const KEYS = 'access,namespace,serviceAccount'

/** Reads the JSON of an allow list; throws where it has another form. */
export function parseAllowList(text: string): AllowList {
  const value: unknown = JSON.parse(text)
  if (Array.isArray(value) && value.every(isEntry)) return value
  const levels = ACCESS_LEVELS.join(', ')
  throw new Error(`it is not a list of {"namespace", "serviceAccount", "access"} with access one of ${levels}`)
}

/** What an account may do; undefined for nothing. An empty list allows every account of the own namespace, with Write. */
export function accessOf(account: ServiceAccount, list: AllowList, ownNamespace: string): Access | undefined {
  if (list.length === 0) return account.namespace === ownNamespace ? 'Write' : undefined
  const levels = list
    .filter((entry) => entry.namespace === account.namespace && entry.serviceAccount === account.name)
    .map((entry) => ACCESS_LEVELS.indexOf(entry.access))
  return levels.length === 0 ? undefined : ACCESS_LEVELS[Math.max(...levels)]
}

function isEntry(value: unknown): value is AllowList[number] {
  if (typeof value !== 'object' || value === null || Object.keys(value).sort().join() !== KEYS) return false
  const { namespace, serviceAccount, access } = value as Record<string, unknown>
  return isName(namespace) && isName(serviceAccount) && (ACCESS_LEVELS as readonly unknown[]).includes(access)
}

function isName(value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}
