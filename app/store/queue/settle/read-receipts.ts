import type { ItemError } from '../../../errors.ts'
import {
  checkInteger,
  checkKeys,
  checkText,
  isItemError,
  isObject,
  itemError,
  type JsonField,
  type RawObject,
} from '../../check.ts'
import { checkDelay, type ItemLimits, payloadField } from '../item/check-item.ts'
import type { Receipts } from '../item/receipt.ts'
import type { SettleResult } from '../types.ts'
import type { Settle } from './settle.ts'

/** The operations that take receipts. */
export type SettleKind = 'ack' | 'nack' | 'extend'

const KEYS: Record<SettleKind, ReadonlySet<string>> = {
  ack: new Set(['receipt']),
  nack: new Set(['receipt', 'delaySeconds', 'reason']),
  extend: new Set(['receipt', 'leaseSeconds']),
}
const LEASE = { name: 'leaseSeconds', min: 1, max: 12 * 3_600 }
const REASON = { name: 'reason', maxBytes: 1_024 }

/** A whole item as the field that checks of JSON speak of: it has no payload, and is as large as one at most. */
export function settleField(limits: ItemLimits): JsonField {
  return { ...payloadField(limits), name: 'receipt', tooLarge: 'invalid_item' }
}

/** Where an item of a settle comes from: the operation, the queue that is asked, and what reads its receipts. */
export type SettleContext = { kind: SettleKind; queue: string; receipts: Receipts }

/** Reads one item of an ack, nack or extend: what is to be settled, or its result at once. */
export function readSettle(raw: unknown, context: SettleContext): Settle | SettleResult {
  if (!isObject(raw)) return invalidSettle(null, itemError('invalid_type', 'An item must be an object with a receipt.'))
  const { receipt } = raw
  const given = typeof receipt === 'string' ? receipt.toWellFormed() : null
  const fault = checkReceipt(receipt) ?? checkKeys(raw, KEYS[context.kind]) ?? checkValues(raw, context.kind)
  if (fault) return invalidSettle(given, fault)
  const delivery = context.receipts.read(context.queue, receipt as string)
  if (delivery === 'unknown') return { receipt: given, id: null, result: 'unknown' }
  if (delivery === 'invalid') return invalidSettle(given, itemError('invalid_receipt', 'The receipt cannot be read.'))
  const seconds = (context.kind === 'extend' ? raw.leaseSeconds : raw.delaySeconds) as number | null | undefined
  return { delivery, receipt: receipt as string, seconds, reason: raw.reason as string | null | undefined }
}

/** Tells what is to be settled from a result. */
export function isSettle(value: Settle | SettleResult): value is Settle {
  return 'delivery' in value
}

/** First of all, because who sends an id instead has to be told of the receipt. */
function checkReceipt(receipt: unknown): ItemError | undefined {
  if (typeof receipt === 'string') return undefined
  if (receipt !== undefined && receipt !== null) return itemError('invalid_type', 'receipt must be a string.')
  return itemError('invalid_type', 'receipt is missing; a pop with leaseSeconds answers one for each item.')
}

function checkValues(raw: RawObject, kind: SettleKind): ItemError | undefined {
  if (kind === 'extend') return checkInteger(raw.leaseSeconds, LEASE)
  const { delaySeconds, reason } = raw
  const fault = delaySeconds === undefined || delaySeconds === null ? undefined : checkDelay(delaySeconds)
  if (fault && isItemError(fault)) return fault
  return reason === undefined || reason === null ? undefined : checkText(reason, REASON)
}

/** The result of an item that is wrong. */
export function invalidSettle(receipt: string | null, fault: ItemError): SettleResult {
  return { receipt, id: null, result: 'invalid', code: fault.code, error: fault.message }
}
