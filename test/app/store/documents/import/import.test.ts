import { PassThrough, Readable } from 'node:stream'
import { beforeEach, describe, expect, test } from 'vitest'
import type { ImportOutcome } from '../../../../../app/store/documents/import/import-run.ts'
import { eventually } from '../../../../support/eventually.ts'
import { createTestStore, summary, uuid } from '../test-store.ts'
import { importLines, linesOf, lockDocuments, pages } from './import-client.ts'

const { database, test: sql, stored, write } = await createTestStore()
const FEW = { documents: 10, lines: 1_000, bytes: 1_000_000 }

beforeEach(() => sql.query('TRUNCATE public.documents CASCADE'))

function outcome(counts: Partial<ImportOutcome>): ImportOutcome {
  return { stored: 0, failed: 0, summary: summary({}), committedLines: 0, ...counts }
}

async function waitingInserts(): Promise<number> {
  const text = `SELECT count(*)::integer AS count FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'`
  return (await sql.query<{ count: number }>(text))[0]?.count ?? 0
}

describe('what a line may be', () => {
  test('a mark at the start, both line ends, blank lines and a last line without an end', async () => {
    const [a, b, c] = pages(3).map((page) => JSON.stringify(page))
    const result = await importLines(database, { source: `\uFEFF${a}\r\n\n \t\r\n${b}\n${c}` })
    expect(result.outcome).toEqual(outcome({ stored: 3, summary: summary({ inserted: 3 }), committedLines: 5 }))
    expect((await stored()).size).toBe(3)
  })

  test('nothing at all', async () => {
    expect((await importLines(database, { source: '' })).outcome).toEqual(outcome({}))
    expect((await importLines(database, { source: '\n\n' })).outcome).toEqual(outcome({ committedLines: 2 }))
  })

  test('whatever is wrong with a line is its own error and harms no other', async () => {
    const [page] = pages(1)
    const bad: [string | Buffer, string][] = [
      ['{"url":', 'malformed_json'],
      ['[1]', 'invalid_type'],
      ['7', 'invalid_type'],
      [Buffer.from('{"url":"http://a.example/\xff"}', 'latin1'), 'malformed_json'],
      ['{"url":"http://a.example/x","metadata":{"__proto__":{}}}', 'malformed_json'],
      ['{"url":"http://a.example/x","metadata":{"a":"\\u0000"}}', 'invalid_text'],
      ['{"url":"http://a.example/x","metadata":{"a":"\\ud800"}}', 'invalid_text'],
      ['{"url":"http://a.example/x","metadata":{"a":1e999}}', 'invalid_number'],
      ['{"url":"nowhere"}', 'invalid_url'],
      ['{"url":"http://a.example/x","colour":"red"}', 'unknown_key'],
      ['{"url":"http://a.example/x","metadata":{"crawledAt":"2026-02-30T00:00:00Z"}}', 'invalid_time'],
      [`{"url":"http://a.example/x","metadata":{"a":"${'x'.repeat(300_000)}"}}`, 'metadata_too_large'],
      [`{"url":"http://a.example/x","metadata":${'[{"a":'.repeat(80)}1${'}]'.repeat(80)}}`, 'invalid_type'],
      [`"${'x'.repeat(64 * 262_144)}"`, 'line_too_long'],
    ]
    const lines = bad.map(([line]) => Buffer.concat([Buffer.from(line), Buffer.from('\n')]))
    const { outcome: ended, errors } = await importLines(database, {
      source: Readable.from([...lines, Buffer.from(linesOf([page as object]))]),
    })
    expect(errors.map(({ line, code }) => [line, code])).toEqual(bad.map(([, code], index) => [index + 1, code]))
    const counts = { stored: 1, failed: bad.length, committedLines: bad.length + 1 }
    expect(ended).toEqual(outcome({ ...counts, summary: summary({ inserted: 1 }) }))
  })

  test('an error names the id of its line, shortened, or null', async () => {
    const lines = [
      { id: 'x'.repeat(1_000), url: 'http://a.example/' },
      { id: uuid(1), url: 7 },
      { id: 7, url: 7 },
    ]
    const { errors } = await importLines(database, { source: linesOf(lines) })
    expect(errors.map(({ id }) => id)).toEqual(['x'.repeat(100), uuid(1), null])
  })

  test('a conflict that only the database knows of is an error of its line', async () => {
    await write([{ id: uuid(1), url: 'https://a.example/0' }])
    const lines = [
      { id: uuid(2), url: 'https://a.example/0' },
      ...pages(2, 1),
      { id: uuid(1), url: 'https://b.example/' },
    ]
    const { outcome: ended, errors } = await importLines(database, { source: linesOf(lines) })
    expect(errors.map(({ line, id, code }) => [line, id, code])).toEqual([
      [1, uuid(2), 'url_conflict'],
      [4, uuid(1), 'id_conflict'],
    ])
    expect(ended).toMatchObject({ stored: 2, failed: 2, committedLines: 4 })
  })
})

describe('errors', () => {
  test('the first thousand are reported, the others are counted', async () => {
    const lines = [...Array(1_500).fill('{'), JSON.stringify(pages(1)[0]), ...Array(700).fill('{')].join('\n')
    const { outcome: ended, errors } = await importLines(database, { source: lines, chunkLimits: FEW })
    expect(errors.map(({ line }) => line)).toEqual(Array.from({ length: 1_000 }, (_, index) => index + 1))
    expect(ended).toMatchObject({ stored: 1, failed: 2_200, committedLines: 2_201 })
  })
})

describe('the order of lines', () => {
  test('of the same url in chunks that are written at the same time, the later line wins', async () => {
    const crawledAt = '2026-01-01T00:00:00Z'
    const lines = Array.from({ length: 400 }, (_, n) => ({
      url: `https://a.example/${n % 20}`,
      metadata: { crawledAt, n },
    }))
    const { outcome: ended } = await importLines(database, { source: linesOf(lines), chunkLimits: FEW })
    expect(ended).toMatchObject({ stored: 400, failed: 0, summary: { inserted: 20, updated: 380 } })
    const found = [...(await stored()).values()].map(({ metadata }) => metadata.n as number)
    expect(found.sort((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, index) => 380 + index))
  })

  test('of the same id in chunks that are written at the same time, the earlier line wins', async () => {
    const limits = { ...FEW, documents: 1 }
    for (let round = 0; round < 20; round += 1) {
      const id = uuid(round)
      const lines = [
        { id, url: `https://a.example/${round}` },
        { id, url: `https://b.example/${round}` },
      ]
      const { errors } = await importLines(database, { source: linesOf(lines), chunkLimits: limits })
      expect(errors).toMatchObject([{ line: 2, id, code: 'id_conflict' }])
    }
  })
})

describe('when lines are committed', () => {
  test('a client that pauses has what it sent committed', async () => {
    const source = new PassThrough()
    source.write(linesOf(pages(3)))
    const run = importLines(database, { source })
    await eventually(async () => expect((await stored()).size).toBe(3))
    source.end(linesOf(pages(2, 3)))
    expect((await run).outcome).toMatchObject({ stored: 5, committedLines: 5 })
  })

  test('where the service stops, all lines that came whole are committed and the outcome says so', async () => {
    const stop = new AbortController()
    const source = new PassThrough()
    source.write(`${linesOf(pages(25))}{"url":"https://a.exa`)
    const run = importLines(database, { source, chunkLimits: FEW, signal: stop.signal, stopping: stop.signal })
    await eventually(async () => expect((await stored()).size).toBeGreaterThan(0))
    stop.abort()
    expect((await run).outcome).toMatchObject({ stored: 25, committedLines: 25, code: 'stopping' })
    expect(source.destroyed).toBe(false)
  })

  test('an import whose lines have all come is not broken off by the end of the service', async () => {
    const stop = new AbortController()
    const run = importLines(database, { source: linesOf(pages(25)), chunkLimits: FEW, stopping: stop.signal })
    stop.abort()
    expect((await run).outcome).toEqual(outcome({ stored: 25, summary: summary({ inserted: 25 }), committedLines: 25 }))
  })

  test('where the caller is gone, what is being written is written and nothing more', async () => {
    const gone = new AbortController()
    const lock = await lockDocuments(sql.url)
    const run = importLines(database, { source: linesOf(pages(45)), chunkLimits: FEW, signal: gone.signal })
    await eventually(async () => expect(await waitingInserts()).toBe(2))
    gone.abort()
    await lock.release()
    expect((await run).outcome).toMatchObject({ stored: 20, committedLines: 20 })
    expect((await stored()).size).toBe(20)
  })

  test('a stream that breaks is malformed_body, and what came whole is committed', async () => {
    const source = new PassThrough()
    source.write(`${linesOf(pages(15))}{"url`)
    const run = importLines(database, { source, chunkLimits: FEW })
    await eventually(async () => expect((await stored()).size).toBeGreaterThanOrEqual(10))
    source.destroy(new Error('cut off'))
    expect((await run).outcome).toMatchObject({ stored: 15, committedLines: 15, code: 'malformed_body' })
  })
})

test('lines that were exported are imported again without a change', async () => {
  await write(pages(30))
  const before = await stored()
  const { outcome: ended } = await importLines(database, { source: linesOf([...before.values()]) })
  expect(ended).toMatchObject({ stored: 30, failed: 0, summary: { unchanged: 30 } })
  expect(await stored()).toEqual(before)
})
