/** Import and export without HTTP, as one would write them in a script: `bulk.ts import FILE` and `bulk.ts export`. */
import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import pg from 'pg'
import { from as copyFrom } from 'pg-copy-streams'
import Cursor from 'pg-cursor'
import type { Document } from '../data.ts'
import { EXPORT_SQL, REPLACE_EVERYTHING, toAnswer, toRecord } from './documents.ts'
import { keepTimesAsText } from './types.ts'

const CHUNK_CHARACTERS = 1 << 16
const CURSOR_ROWS = 1_000

const COLUMNS = 'id, url, host, status, crawled_at, last_modified, content_type, size, metadata'
const MERGE = `INSERT INTO public.documents (${COLUMNS}) SELECT ${COLUMNS} FROM incoming
  ON CONFLICT (url) DO UPDATE SET ${REPLACE_EVERYTHING}`

async function importFile(client: pg.Client, file: string): Promise<number> {
  await client.query('BEGIN')
  await client.query(`CREATE TEMPORARY TABLE incoming ON COMMIT DROP AS SELECT ${COLUMNS} FROM documents WITH NO DATA`)
  await pipeline(Readable.from(copyChunks(file)), client.query(copyFrom(`COPY incoming (${COLUMNS}) FROM STDIN`)))
  const { rowCount } = await client.query(MERGE)
  await client.query('COMMIT')
  return rowCount ?? 0
}

async function* copyChunks(file: string): AsyncGenerator<string> {
  let chunk = ''
  for await (const line of createInterface({ input: createReadStream(file, { highWaterMark: 1 << 18 }) })) {
    chunk += copyLine(JSON.parse(line) as Document)
    if (chunk.length < CHUNK_CHARACTERS) continue
    yield chunk
    chunk = ''
  }
  yield chunk
}

function copyLine(document: Document): string {
  const record = toRecord(document)
  const fields = [...Object.values({ ...record, metadata: '' }).slice(0, -1), JSON.stringify(record.metadata)]
  return `${fields.map(escapeField).join('\t')}\n`
}

function escapeField(value: unknown): string {
  const text = String(value)
  if (!/[\\\t\n\r]/.test(text)) return text
  return text.replaceAll('\\', '\\\\').replaceAll('\t', '\\t').replaceAll('\n', '\\n').replaceAll('\r', '\\r')
}

async function exportAll(client: pg.Client): Promise<number> {
  const cursor = client.query(new Cursor(EXPORT_SQL))
  let count = 0
  let bytes = 0
  for (;;) {
    const rows = await cursor.read(CURSOR_ROWS)
    if (rows.length === 0) break
    count += rows.length
    // Made as the client would get it, and then let go.
    bytes += Buffer.byteLength(rows.map((row) => `${JSON.stringify(toAnswer(row))}\n`).join(''))
  }
  if (bytes === 0) throw new Error('The export was empty.')
  return count
}

keepTimesAsText()
const [task, file] = process.argv.slice(2)
const client = new pg.Client({ connectionString: process.env.DATABASE_URL })
await client.connect()
const started = performance.now()
const cpuBefore = process.cpuUsage()
const rows = task === 'import' ? await importFile(client, file ?? '') : await exportAll(client)
const seconds = (performance.now() - started) / 1_000
const { user, system } = process.cpuUsage(cpuBefore)
await client.end()
process.stdout.write(JSON.stringify({ rows, seconds, scriptCpuSeconds: (user + system) / 1e6 }))
