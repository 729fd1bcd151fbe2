import Type, { type Static } from 'typebox'
import { Check } from 'typebox/value'
import { ACCESS_LEVELS, type Access } from '../contract.ts'

/** Which service account may do what. */
const AllowList = Type.Array(
  Type.Object(
    {
      namespace: Type.String({ minLength: 1 }),
      serviceAccount: Type.String({ minLength: 1 }),
      access: Type.Enum([...ACCESS_LEVELS]),
    },
    { additionalProperties: false },
  ),
)
export type AllowList = Static<typeof AllowList>

/** Reads the JSON of an allow list; throws where it has another form. */
export function parseAllowList(text: string): AllowList {
  const value: unknown = JSON.parse(text)
  if (!Check(AllowList, value)) {
    const levels = ACCESS_LEVELS.join(', ')
    throw new Error(`it is not a list of {"namespace", "serviceAccount", "access"} with access one of ${levels}`)
  }
  return value
}

/** What an account may do; undefined for nothing. An empty list allows every account of the own namespace, with Write. */
export function accessOf(account: ServiceAccount, list: AllowList, ownNamespace: string): Access | undefined {
  if (list.length === 0) return account.namespace === ownNamespace ? 'Write' : undefined
  const levels = list
    .filter((entry) => entry.namespace === account.namespace && entry.serviceAccount === account.name)
    .map((entry) => ACCESS_LEVELS.indexOf(entry.access))
  return levels.length === 0 ? undefined : ACCESS_LEVELS[Math.max(...levels)]
}

/** A Kubernetes service account. */
export type ServiceAccount = { namespace: string; name: string }
