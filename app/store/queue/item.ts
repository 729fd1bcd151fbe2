import type { ItemError } from '../../errors.ts'
import {
  checkInteger,
  checkKeys,
  checkText,
  checkTime,
  encodeJson,
  isItemError,
  isObject,
  itemError,
  type RawObject,
} from '../check.ts'
import { hostOf } from '../host.ts'
import type { NewItem } from './types.ts'

/** What one item may hold, from the configuration. */
export type ItemLimits = { payloadBytes: number; jsonDepth: number }

const KEYS: ReadonlySet<string> = new Set(['id', 'priority', 'payload', 'delaySeconds', 'availableAt', 'group'])
const ID = { name: 'id', minBytes: 1, maxBytes: 512 }
const GROUP = { name: 'group', minBytes: 1, maxBytes: 255 }
const PRIORITY = { name: 'priority', min: -2_147_483_648, max: 2_147_483_647 }
const DELAY_SECONDS_MAX = 100 * 365 * 86_400

/** Checks one item of a push as it came; `null` is the same as absent. An error is about this item alone. */
export function checkItem(raw: unknown, limits: ItemLimits): NewItem | ItemError {
  if (!isObject(raw)) return itemError('invalid_type', 'An item must be an object.')
  const fault = checkKeys(raw, KEYS) ?? checkId(raw.id) ?? checkPriority(raw.priority) ?? checkGroup(raw.group)
  if (fault) return fault
  const payload = encodePayload(raw.payload ?? {}, limits)
  if (typeof payload !== 'string') return payload
  const due = checkDue(raw)
  if (isItemError(due)) return due
  return { ...due, ...textsOf(raw), priority: (raw.priority as number | null | undefined) ?? 0, payloadJson: payload }
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

function checkGroup(group: unknown): ItemError | undefined {
  return group === undefined || group === null ? undefined : checkText(group, GROUP)
}

function encodePayload(payload: unknown, limits: ItemLimits): string | ItemError {
  return encodeJson(payload, {
    name: 'payload',
    maxBytes: limits.payloadBytes,
    maxDepth: limits.jsonDepth,
    tooLarge: 'payload_too_large',
  })
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
  return { id: id ?? undefined, url, group: group ?? (url === undefined ? undefined : groupOf(url)) }
}

/** Host names are ASCII. One that cannot be a name in DNS, which ends at 255 bytes, is no group. */
function groupOf(url: string): string | undefined {
  const host = hostOf(url)
  return host !== undefined && host.length <= GROUP.maxBytes ? host : undefined
}

function urlOf(payload: unknown): string | undefined {
  const url = isObject(payload) ? payload.url : undefined
  return typeof url === 'string' ? url : undefined
}
