import { randomFillSync } from 'node:crypto'

const BYTES = 16
const TIME_DIGITS = 12
const COUNTER_DIGITS = 3
// The version and the counter take the place of the first four digits behind the time.
const RANDOM_START = 8
const VARIANT = { clear: 0x3f, set: 0x80 } as const

/**
 * Makes UUIDs of version 7 in ascending order, as hexadecimal texts without dashes; at most 4,096. Those of a chunk take one
 * call for random bytes together: a call for each costs more than all else that is done with an id.
 */
export function newIds(count: number): string[] {
  const time = Date.now().toString(16).padStart(TIME_DIGITS, '0')
  const random = randomFillSync(Buffer.allocUnsafe(count * BYTES))
  return Array.from({ length: count }, (_, index) => {
    const start = index * BYTES + RANDOM_START
    random[start] = ((random[start] as number) & VARIANT.clear) | VARIANT.set
    const counter = index.toString(16).padStart(COUNTER_DIGITS, '0')
    return `${time}7${counter}${random.toString('hex', start, start + BYTES - RANDOM_START)}`
  })
}
