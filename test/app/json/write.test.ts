import fc from 'fast-check'
import { expect, test } from 'vitest'
import { separated, writeArray, writeTexts } from '../../../app/json/write.ts'

/** So many times that the text is written as bytes. */
const REPEATS = 70_000

test('texts are written one after the other, large ones as bytes', async () => {
  const texts = fc.array(fc.string({ unit: 'grapheme' }), { maxLength: 20 })
  await fc.assert(
    fc.asyncProperty(texts, async (some) => {
      const large = [...some, 'ü'.repeat(REPEATS)]
      expect(await writeTexts([...some])).toBe(some.join(''))
      expect((await writeTexts([...large])) as Buffer).toEqual(Buffer.from(large.join('')))
    }),
    { numRuns: 30 },
  )
})

test('an array is what JSON has of it, however many values it has', async () => {
  for (const count of [0, 1, 250, 251, 1_000, 20_000]) {
    const values = Array.from({ length: count }, (_, n) => n)
    const toTexts = (some: number[]) => separated(some.map(String))
    const json = await writeArray({ values, toTexts, before: '{"values":', after: ',"end":true}' })
    expect(String(json)).toBe(JSON.stringify({ values, end: true }))
  }
})
