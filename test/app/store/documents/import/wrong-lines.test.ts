import { Readable } from 'node:stream'
import { expect, test } from 'vitest'
import { createTestStore } from '../test-store.ts'
import { importLines, linesOf, pages } from './import-client.ts'

const { database, test: sql } = await createTestStore()
const LIMIT = 100_000

function lines(wrong: string, times: number): Buffer {
  return Buffer.from(`${linesOf(pages(1))}${wrong.repeat(times)}`)
}

test.each(['x\n', '{"a\n', '{}\n', '{"url":"https://a.example/","x":1}\n'])(
  'an import of little else than %j ends',
  async (wrong) => {
    const piece = lines(wrong, LIMIT / 2)
    const source = Readable.from(Array.from({ length: 1_000 }, () => piece))
    const { outcome, errors } = await importLines(database, { source })
    expect(outcome).toMatchObject({ stored: 3, failed: LIMIT + 1, code: 'malformed_body' })
    expect(outcome.committedLines).toBe(LIMIT + 4)
    expect(errors).toHaveLength(1_000)
  },
)

test('one with as many wrong lines does not, where there are others between them', async () => {
  await sql.query('DELETE FROM public.documents')
  const documents = linesOf(pages(2_000))
  const source = Readable.from(Array.from({ length: 7 }, () => Buffer.from(`${documents}${'{}\n'.repeat(15_000)}`)))
  const { outcome } = await importLines(database, { source })
  expect(outcome).toMatchObject({ stored: 14_000, failed: 105_000, committedLines: 119_000 })
  expect(outcome.code).toBeUndefined()
})
