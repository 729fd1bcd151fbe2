import { hash } from 'node:crypto'
import { LRUCache } from 'lru-cache'

// Fixed for ever: rows are found by ids that are computed from it, by us and by SQL clients.
const NAMESPACE = '6f0f2c5e-9d5b-5c0a-8e1d-4b7a3c2f1e90'
const CANONICAL_UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
const NAMESPACES_KEPT = 2_000

const namespaces = new LRUCache<string, Buffer>({ max: NAMESPACES_KEPT })

/**
 * The id of an item's row: the caller's id where that is a UUID in its canonical lower-case form, otherwise the UUIDv5 of
 * queue and id. The primary key (name, id) thereby keeps the caller's ids unique in their queue.
 */
export function rowId(queue: string, callerId: string): string {
  return CANONICAL_UUID.test(callerId) ? callerId : uuidV5(namespaceOf(queue), callerId)
}

/** The 16 bytes of a UUID. */
export function uuidBytes(uuid: string): Buffer {
  return Buffer.from(uuid.replaceAll('-', ''), 'hex')
}

/** The canonical form of a UUID of 32 hexadecimal digits. */
export function formatUuid(hex: string): string {
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20, 32)}`
}

function namespaceOf(queue: string): Buffer {
  const known = namespaces.get(queue)
  if (known) return known
  const made = uuidBytes(uuidV5(uuidBytes(NAMESPACE), queue))
  namespaces.set(queue, made)
  return made
}

/** RFC 9562, section 5.5: SHA-1 of namespace and name, with version 5 and the variant written over it. */
function uuidV5(namespace: Buffer, name: string): string {
  const hex = hash('sha1', Buffer.concat([namespace, Buffer.from(name)]), 'hex')
  const variant = ((Number.parseInt(hex.charAt(16), 16) & 0x3) | 0x8).toString(16)
  return formatUuid(`${hex.slice(0, 12)}5${hex.slice(13, 16)}${variant}${hex.slice(17)}`)
}
