import { LIMITS } from '../../../contract.ts'
import type { ItemError } from '../../../errors.ts'
import {
  checkInteger,
  checkKeys,
  checkText,
  checkTime,
  encodeJson,
  isItemError,
  isObject,
  itemError,
  type JsonField,
  type RawObject,
} from '../../check.ts'
import { asciiHost, HOST_LENGTH, hostOf, isHostTooLong, withoutDot } from '../../url-host.ts'
import type { NewItem } from '../types.ts'

/** What one item may hold, from the configuration. */
export type ItemLimits = { payloadBytes: number; jsonDepth: number }

const KEYS: ReadonlySet<string> = new Set(['id', 'priority', 'payload', 'delaySeconds', 'availableAt', 'group'])
const ID = { name: 'id', minBytes: 1, maxBytes: LIMITS.itemIdBytes }
const GROUP = { name: 'group', minBytes: 1, maxBytes: 255 }
const PRIORITY = { name: 'priority', min: -2_147_483_648, max: 2_147_483_647 }
const DELAY_SECONDS_MAX = 100 * 365 * 86_400

/** Checks one item of a push as it came; `null` is the same as absent. An error is about this item alone. */
export function checkItem(raw: unknown, limits: ItemLimits): NewItem | ItemError {
  if (!isObject(raw)) return itemError('invalid_type', 'An item must be an object.')
  const fault = checkKeys(raw, KEYS) ?? checkId(raw.id) ?? checkPriority(raw.priority) ?? checkPlace(raw)
  if (fault) return fault
  const payload = encodeJson(raw.payload ?? {}, payloadField(limits))
  if (typeof payload !== 'string') return payload
  const due = checkDue(raw)
  if (isItemError(due)) return due
  return { ...due, ...textsOf(raw), priority: (raw.priority as number | null | undefined) ?? 0, payloadJson: payload }
}

/** The payload as the field that checks of JSON speak of. */
export function payloadField(limits: ItemLimits): JsonField {
  return {
    name: 'payload',
    maxBytes: limits.payloadBytes,
    maxDepth: limits.jsonDepth,
    tooLarge: 'payload_too_large',
  }
}

/** Checks a delay in seconds: 0 to 100 years, fractions allowed. */
export function checkDelay(value: unknown): ItemError | undefined {
  if (typeof value !== 'number') return itemError('invalid_type', 'delaySeconds must be a number.')
  if (value >= 0 && value <= DELAY_SECONDS_MAX) return undefined
  return itemError('invalid_number', `delaySeconds must be from 0 to ${DELAY_SECONDS_MAX}.`)
}

function checkId(id: unknown): ItemError | undefined {
  if (id === undefined || id === null) return undefined
  const fault = checkText(id, ID)
  return fault && { ...fault, code: 'invalid_id' }
}

function checkPriority(priority: unknown): ItemError | undefined {
  return priority === undefined || priority === null ? undefined : checkInteger(priority, PRIORITY)
}

/** Checks the group, or where there is none the host that it is made of. */
function checkPlace({ group, payload }: RawObject): ItemError | undefined {
  if (group !== undefined && group !== null) return checkText(group, GROUP)
  const url = urlOf(payload)
  if (url === undefined || !isHostTooLong(url)) return undefined
  return itemError('invalid_url', `The host of payload.url is longer than ${HOST_LENGTH} characters.`)
}

function checkDue(raw: RawObject): { delaySeconds?: number; availableAt?: string } | ItemError {
  const delaySeconds = raw.delaySeconds ?? undefined
  const availableAt = raw.availableAt ?? undefined
  if (delaySeconds !== undefined && availableAt !== undefined) {
    return itemError('invalid_item', 'An item has either delaySeconds or availableAt.')
  }
  if (delaySeconds !== undefined) return checkDelay(delaySeconds) ?? { delaySeconds: delaySeconds as number }
  if (availableAt === undefined) return {}
  const time = checkTime(availableAt, 'availableAt')
  return typeof time === 'string' ? { availableAt: time } : time
}

function textsOf(raw: RawObject): { id?: string; url?: string; group?: string } {
  const { id, group } = raw as { id?: string | null; group?: string | null }
  const url = urlOf(raw.payload)
  return { id: id ?? undefined, url, group: group ? groupName(group) : groupOf(url) }
}

/** The host, where it is the name of one: its settings and its urls are found under the same name. */
function groupName(group: string): string {
  const ascii = asciiHost(group)
  const name = ascii.length <= GROUP.maxBytes ? ascii : group
  return withoutDot(name) ?? name
}

/** Host names are ASCII. One that cannot be a name in DNS, which ends at 255 bytes, is no group. */
function groupOf(url: string | undefined): string | undefined {
  const host = url === undefined ? undefined : hostOf(url)
  return host !== undefined && host.length <= GROUP.maxBytes ? host : undefined
}

function urlOf(payload: unknown): string | undefined {
  const url = isObject(payload) ? payload.url : undefined
  return typeof url === 'string' ? url : undefined
}
