import { hash, timingSafeEqual } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { LIMITS } from '../../../contract.ts'
import type { Session } from '../../database.ts'
import { formatUuid } from './item-id.ts'

/** One delivery of an item: what a receipt stands for. `startedMicros` counts from 1970 and is the fence. */
export type Delivery = { rowId: string; startedMicros: number; callerId: string }

// version (1 byte), row id (16), start of the delivery (8), tag (8), the caller's id where it is not the row id (UTF-8)
const VERSION = 1
const STARTED_AT = 17
const TAG_AT = 25
const CALLER_AT = 33
const TAG_BYTES = 8
const LENGTH_MAX = Math.ceil(((CALLER_AT + LIMITS.itemIdBytes) * 4) / 3)
const UINT32 = 2 ** 32
const BASE64URL = /^[\w-]+$/
const KEYS_KEPT = 2_000

/**
 * Writes and reads receipts. The tag is 8 bytes of a SHA-256 keyed with a secret of the database, over queue and delivery:
 * it tells a receipt of this queue from any other text, so that the id in it can be answered without a look-up.
 */
export class Receipts {
  readonly #key: Buffer
  readonly #queueKeys = new LRUCache<string, Buffer>({ max: KEYS_KEPT })

  constructor(key: Buffer) {
    this.#key = key
  }

  /** The receipt of one delivery. */
  issue(queue: string, delivery: Delivery): string {
    const { rowId, startedMicros, callerId } = delivery
    const caller = callerId === rowId ? '' : callerId
    const bytes = Buffer.allocUnsafe(CALLER_AT + Buffer.byteLength(caller))
    bytes[0] = VERSION
    bytes.write(rowId.replaceAll('-', ''), 1, 'hex')
    bytes.writeUInt32BE(Math.floor(startedMicros / UINT32), STARTED_AT)
    bytes.writeUInt32BE(startedMicros % UINT32, STARTED_AT + 4)
    bytes.write(caller, CALLER_AT)
    bytes.write(this.#tag(queue, bytes), TAG_AT, TAG_BYTES, 'latin1')
    return bytes.toString('base64url')
  }

  /** `invalid`: no receipt at all; `unknown`: one that this queue never gave. */
  read(queue: string, receipt: string): Delivery | 'invalid' | 'unknown' {
    const bytes = decode(receipt)
    if (bytes === undefined) return 'invalid'
    const tag = Buffer.from(this.#tag(queue, bytes), 'latin1').subarray(0, TAG_BYTES)
    if (!timingSafeEqual(tag, bytes.subarray(TAG_AT, CALLER_AT))) return 'unknown'
    const rowId = formatUuid(bytes.toString('hex', 1, STARTED_AT))
    const startedMicros = bytes.readUInt32BE(STARTED_AT) * UINT32 + bytes.readUInt32BE(STARTED_AT + 4)
    return { rowId, startedMicros, callerId: bytes.toString('utf8', CALLER_AT) || rowId }
  }

  // Not createHmac: it takes 50 times as long here. Cutting the hash to 8 bytes rules out that it is extended.
  #tag(queue: string, bytes: Buffer): string {
    return hash(
      'sha256',
      Buffer.concat([this.#queueKey(queue), bytes.subarray(0, TAG_AT), bytes.subarray(CALLER_AT)]),
      'binary',
    )
  }

  #queueKey(queue: string): Buffer {
    const known = this.#queueKeys.get(queue)
    if (known) return known
    const made = hash('sha256', Buffer.concat([this.#key, Buffer.from(queue)]), 'buffer')
    this.#queueKeys.set(queue, made)
    return made
  }
}

const KEY = { name: 'queue_receipt_key', text: 'SELECT key FROM storage.receipt_key' }

/** Reads the database's key; every replica has the same. */
export async function loadReceipts(session: Session): Promise<Receipts> {
  const { rows } = await session.query<{ key: Buffer }>(KEY)
  if (rows[0] === undefined) throw new Error('storage.receipt_key is empty')
  return new Receipts(rows[0].key)
}

function decode(receipt: string): Buffer | undefined {
  if (receipt.length > LENGTH_MAX || !BASE64URL.test(receipt)) return undefined
  const bytes = Buffer.from(receipt, 'base64url')
  // The last character may have bits that belong to no byte: a receipt is one text only.
  const isWhole = bytes.length >= CALLER_AT && bytes[0] === VERSION && bytes.toString('base64url') === receipt
  return isWhole ? bytes : undefined
}
