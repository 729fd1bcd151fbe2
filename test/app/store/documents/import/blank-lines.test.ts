import { Readable } from 'node:stream'
import { expect, test } from 'vitest'
import { Database, type Result, type Session, type Statement } from '../../../../../app/store/database.ts'
import { LineSplitter } from '../../../../../app/store/documents/import/line-splitter.ts'
import { silentObserver } from '../../../../../app/store/observer.ts'
import { createTestDatabase } from '../../../../support/database.ts'
import { atEndOfFile } from '../../../../support/end-of-file.ts'
import { importLines, linesOf, pages } from './import-client.ts'

/** Counts what reaches the server. */
class CountingDatabase extends Database {
  calls = 0

  override query<R>(statement: Statement, values?: unknown[]): Promise<Result<R>> {
    this.calls += 1
    return super.query<R>(statement, values)
  }

  override transaction<T>(work: (session: Session) => Promise<T>): Promise<T> {
    this.calls += 1
    return super.transaction(work)
  }
}

const { url } = await createTestDatabase()
const pool = { url, maxPoolSize: 4, acquireTimeoutMs: 30_000, statementTimeoutMs: 30_000 }
const database = new CountingDatabase(pool, silentObserver)
atEndOfFile(() => database.close())

const PIECE_BYTES = 65_536
const PIECES = 1_024
/** 64 MiB of them took 16 s of CPU, and now take less than one. */
const MOST_CPU_MS = 5_000

const kinds: [string, string][] = [
  ['line feeds', '\n'],
  ['both line ends', '\r\n'],
  ['spaces and line feeds', ' \n'],
  ['long blank lines', `${' \t'.repeat(1_000)}\n`],
]

test.each(kinds)('%s cost no more than a look at each byte', (_name, blank) => {
  const piece = Buffer.from(blank.repeat(Math.ceil(PIECE_BYTES / blank.length)))
  const splitter = new LineSplitter(1_048_576)
  const before = process.cpuUsage()
  let objects = 0
  for (let index = 0; index < PIECES; index += 1) objects += splitter.push(piece).length
  const { user, system } = process.cpuUsage(before)
  expect((user + system) / 1_000).toBeLessThan(MOST_CPU_MS)
  expect(objects).toBeLessThan(4 * PIECES)
})

test('blank lines are counted and reach no statement, wherever they stand', async () => {
  const piece = Buffer.alloc(PIECE_BYTES, '\n')
  const [first, second] = pages(2).map((page) => Buffer.from(linesOf([page])))
  const blank = () => Array.from({ length: 64 }, () => piece)
  const source = Readable.from([...blank(), first, ...blank(), second, ...blank()])
  const { outcome } = await importLines(database, { source })
  expect(outcome).toMatchObject({ stored: 2, failed: 0, committedLines: 3 * 64 * PIECE_BYTES + 2 })
  // A machine that is busy may take a pause for the client's, after which what there is is committed.
  expect(database.calls).toBeLessThan(4)
  database.calls = 0
  expect((await importLines(database, { source: Readable.from(blank()) })).outcome).toMatchObject({
    stored: 0,
    committedLines: 64 * PIECE_BYTES,
  })
  expect(database.calls).toBe(0)
})
