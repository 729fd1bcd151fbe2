import { expect, test } from 'vitest'
import { Novelty } from '../../../../app/store/documents/novelty.ts'

test('rises with a long run of new urls, and ends with the first that is known', () => {
  const novelty = new Novelty()
  expect(novelty.isHigh).toBe(false)
  for (let chunk = 0; chunk < 9; chunk += 1) novelty.note(1_000, 1_000)
  expect(novelty.isHigh).toBe(false)
  novelty.note(1_000, 1_000)
  expect(novelty.isHigh).toBe(true)
  novelty.note(1_000, 999)
  expect(novelty.isHigh).toBe(false)
})
