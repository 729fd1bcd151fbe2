import { expect, test } from 'vitest'
import { Novelty } from '../../../../../app/store/documents/write/novelty.ts'

const NEW = { added: 1_000, untouched: 0 }
const UNTOUCHED = { added: 0, untouched: 1_000 }

test('rises with a long run of new urls, and ends with the first that is known', () => {
  const novelty = new Novelty()
  expect(novelty.isHigh).toBe(false)
  for (let chunk = 0; chunk < 9; chunk += 1) novelty.note(1_000, NEW)
  expect(novelty.isHigh).toBe(false)
  novelty.note(1_000, NEW)
  expect(novelty.isHigh).toBe(true)
  novelty.note(1_000, { added: 999, untouched: 0 })
  expect(novelty.isHigh).toBe(false)
})

test('sinks where documents come again just as they are stored, and rises with those that do not', () => {
  const novelty = new Novelty()
  novelty.note(1_000, UNTOUCHED)
  expect(novelty.isLow).toBe(false)
  novelty.note(1_000, UNTOUCHED)
  novelty.note(0, { added: 0, untouched: 0 })
  expect(novelty.isLow).toBe(true)
  novelty.note(500, { added: 0, untouched: 0 })
  novelty.note(500, { added: 500, untouched: 0 })
  expect(novelty.isLow).toBe(false)
})
