import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { rowId } from '../../../../../app/store/queue/item/item-id.ts'
import { Receipts } from '../../../../../app/store/queue/item/receipt.ts'

const key = randomBytes(32)
const receipts = new Receipts(key)
const delivery = { rowId: rowId('q', 'page'), startedMicros: 1_800_000_000_123_456, callerId: 'page' }

test('a receipt is read as the delivery that it was issued for', () => {
  const ids = fc.oneof(fc.uuid(), fc.string({ unit: 'grapheme', minLength: 1, maxLength: 100 }))
  fc.assert(
    fc.property(fc.string(), ids, fc.integer({ min: 0, max: 2 ** 52 }), (queue, callerId, startedMicros) => {
      const issued = { rowId: rowId(queue, callerId), startedMicros, callerId }
      expect(receipts.read(queue, receipts.issue(queue, issued))).toEqual(issued)
    }),
  )
})

test('every replica reads the receipts of the others', () => {
  expect(new Receipts(key).read('q', receipts.issue('q', delivery))).toEqual(delivery)
})

test('a receipt of another queue, of another database or that was altered is unknown', () => {
  const receipt = receipts.issue('q', delivery)
  const altered = Buffer.from(receipt, 'base64url')
  altered[20] = (altered[20] ?? 0) ^ 1

  expect(receipts.read('other', receipt)).toBe('unknown')
  expect(new Receipts(randomBytes(32)).read('q', receipt)).toBe('unknown')
  expect(receipts.read('q', altered.toString('base64url'))).toBe('unknown')
})

test('what is no receipt is invalid, whatever it is', () => {
  const receipt = receipts.issue('q', delivery)
  const otherVersion = Buffer.from(receipt, 'base64url')
  otherVersion[0] = 2

  for (const text of ['', 'a', '????', receipt.slice(0, 40), `${receipt}=`, ` ${receipt}`, 'A'.repeat(5_000)]) {
    expect(receipts.read('q', text)).toBe('invalid')
  }
  expect(receipts.read('q', otherVersion.toString('base64url'))).toBe('invalid')
  fc.assert(fc.property(fc.base64String(), (text) => ['invalid', 'unknown'].includes(String(receipts.read('q', text)))))
})

test('a receipt is one text only: not the same bytes in another one', () => {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  for (const callerId of ['page', 'pages', 'page 1', delivery.rowId]) {
    const receipt = receipts.issue('q', { ...delivery, callerId })
    for (const last of alphabet) {
      const other = `${receipt.slice(0, -1)}${last}`
      if (other !== receipt) expect(['invalid', 'unknown'], other).toContain(receipts.read('q', other))
    }
  }
})

test('a receipt is short: 44 characters for an id that is a UUID', () => {
  const id = '0198e2a4-5b7c-7def-8123-456789abcdef'
  expect(receipts.issue('q', { rowId: id, startedMicros: 1, callerId: id })).toMatch(/^[\w-]{44}$/)
})
