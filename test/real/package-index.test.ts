import { createInterface } from 'node:readline/promises'
import { Readable } from 'node:stream'
import type { ReadableStream } from 'node:stream/web'
import { isDeepStrictEqual } from 'node:util'
import { createGzip } from 'node:zlib'
import { beforeAll, describe, expect, test } from 'vitest'
import { startService } from '../fault/service-process.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { packageIndexFile } from '../support/packages.ts'
import { type PackageDocument, packageDocuments } from './package-index.ts'

type Exported = PackageDocument & { id: string; host: string; createdAt: string; updatedAt: string }

describe("Debian's package index", () => {
  const expected = new Map<string, PackageDocument>()
  let records = 0
  let database: TestDatabase
  let url: string

  beforeAll(async () => {
    const file = await packageIndexFile()
    // The archive may list a file twice: the later record is the one that is stored.
    for await (const document of packageDocuments(file)) {
      records += 1
      expected.set(document.url, document)
    }
    database = await createTestDatabase()
    url = (await startService({ databaseUrl: database.url })).url
  }, 300_000)

  test('goes through the import whole', async () => {
    expect(records).toBeGreaterThan(50_000)
    const file = await packageIndexFile()
    const outcome = await importLines(toLines(packageDocuments(file)))
    expect(outcome).toMatchObject({ stored: records, failed: 0, committedLines: records })
    expect(await database.query('SELECT count(*)::integer AS count FROM public.documents')).toEqual([
      { count: expected.size },
    ])
    console.log(`${records} records, ${expected.size} documents`)
  }, 300_000)

  test('comes out of the export equal', async () => {
    const different: unknown[] = []
    let count = 0
    for await (const { id: _, createdAt: _c, updatedAt: _u, host, ...document } of exported()) {
      count += 1
      const isEqual = host === 'packages.example' && isDeepStrictEqual(document, expected.get(document.url))
      if (!isEqual) different.push({ document, expected: expected.get(document.url) })
    }
    expect(different.slice(0, 3)).toEqual([])
    expect(count).toBe(expected.size)
  }, 300_000)

  test('imported again as it was exported, changes nothing', async () => {
    const before = await lastChange()
    const outcome = await importLines(toLines(exported()))
    expect(outcome).toMatchObject({ stored: expected.size, failed: 0, summary: { unchanged: expected.size } })
    expect(await lastChange()).toEqual(before)
  }, 300_000)

  /** Sends the lines gzipped, as fast as the service takes them; answers the last line of the answer. */
  async function importLines(lines: AsyncIterable<string>): Promise<unknown> {
    const body = Readable.toWeb(Readable.from(lines).pipe(createGzip({ level: 1 })))
    const headers = { 'content-type': 'application/x-ndjson', 'content-encoding': 'gzip' }
    const request = { method: 'POST', headers, body, duplex: 'half' } as RequestInit
    const text = await (await fetch(`${url}/api/documents/import`, request)).text()
    return JSON.parse(text.trim().split('\n').at(-1) ?? '')
  }

  async function* exported(): AsyncGenerator<Exported, void, void> {
    const { body } = await fetch(`${url}/api/documents/export`)
    const lines = createInterface({ input: Readable.fromWeb(body as ReadableStream) })
    for await (const line of lines) yield JSON.parse(line) as Exported
  }

  function lastChange(): Promise<unknown[]> {
    return database.query('SELECT max(updated_at)::text AS at, count(*) AS count FROM public.documents')
  }
})

async function* toLines(documents: AsyncIterable<PackageDocument>): AsyncGenerator<string, void, void> {
  for await (const document of documents) yield `${JSON.stringify(document)}\n`
}
