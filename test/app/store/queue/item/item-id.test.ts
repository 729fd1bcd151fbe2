import fc from 'fast-check'
import { v5 } from 'uuid'
import { expect, test } from 'vitest'
import { rowId } from '../../../../../app/store/queue/item/item-id.ts'

const NAMESPACE = '6f0f2c5e-9d5b-5c0a-8e1d-4b7a3c2f1e90'

test('the row of an id that is a UUID has that id', () => {
  expect(rowId('q', '0198e2a4-5b7c-7def-8123-456789abcdef')).toBe('0198e2a4-5b7c-7def-8123-456789abcdef')
})

test('any other id has the UUIDv5 of queue and id, by a namespace that never changes', () => {
  fc.assert(
    fc.property(fc.string(), fc.string({ unit: 'grapheme', minLength: 1 }), (queue, id) => {
      expect(rowId(queue, id)).toBe(v5(id, v5(queue, NAMESPACE)))
    }),
  )
  expect(rowId('frontier', 'https://example.org/')).toBe('d0b289a3-d1cf-5998-b6ce-28de491e92ff')
})

test('a UUID in upper case is another id than the same in lower case', () => {
  const upper = '0198E2A4-5B7C-7DEF-8123-456789ABCDEF'
  expect(rowId('q', upper)).not.toBe(upper.toLowerCase())
})
