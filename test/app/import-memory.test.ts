import { once } from 'node:events'
import { request } from 'node:http'
import { createGzip } from 'node:zlib'
import { expect, test } from 'vitest'
import { memoryMiB } from '../bench/proc-stat.ts'
import { startService } from '../fault/service-process.ts'
import { createTestDatabase } from '../support/database.ts'
import { eventually } from '../support/eventually.ts'
import { lockDocuments } from './store/documents/import/import-client.ts'

const IMPORTS = 40
const DOCUMENTS = 200
/** What V8 gives itself in a pod of the default size. */
const HEAP_MIB = 256
const LIMIT_MIB = 320
/** 10 MB an import: far more than there is room for. */
const TEXT = 'What a page says, over and over again. '.repeat(1_300)

/** One import that sends as fast as it may; answers its last line. */
async function importDocuments(url: string, number: number): Promise<unknown> {
  const headers = { 'content-type': 'application/x-ndjson', 'content-encoding': 'gzip' }
  const sent = request(`${url}/api/documents/import`, { method: 'POST', headers, agent: false })
  const answered = once(sent, 'response')
  const body = createGzip({ level: 1 })
  body.pipe(sent)
  for (let index = 0; index < DOCUMENTS; index += 1) {
    const document = { url: `https://import-${number}.example/${index}`, metadata: { index, TEXT } }
    if (!body.write(`${JSON.stringify(document)}\n`)) await once(body, 'drain')
  }
  body.end()
  const [answer] = await answered
  let text = ''
  for await (const piece of answer.setEncoding('utf8')) text += piece
  return JSON.parse(text.trim().split('\n').at(-1) ?? '')
}

/** Answers when a process takes no more memory than some seconds ago. */
async function untilItGrowsNoMore(pid: number): Promise<void> {
  let before = 0
  const check = () => {
    const { peak } = memoryMiB(pid)
    const isSettled = peak - before < 1
    before = peak
    return isSettled
  }
  await eventually(check, { timeoutMs: 120_000, intervalMs: 3_000 })
}

test('forty imports at once all come to their end in the memory of a pod', { timeout: 600_000 }, async () => {
  const database = await createTestDatabase()
  const nodeArguments = ['--max-semi-space-size=8', `--max-old-space-size=${HEAP_MIB}`]
  const environment = {
    MALLOC_ARENA_MAX: '1',
    MALLOC_MMAP_THRESHOLD_: '131072',
    STATEMENT_TIMEOUT: '5m',
    POOL_ACQUIRE_TIMEOUT: '5m',
  }
  const service = await startService({ databaseUrl: database.url, nodeArguments, environment })
  const pid = service.pid ?? 0
  // As long as nothing can be written, each import takes all that it may hold.
  const lock = await lockDocuments(database.url)
  const ended = Promise.all(Array.from({ length: IMPORTS }, (_, number) => importDocuments(service.url, number)))
  // If the service dies, it does so before anybody looks.
  ended.catch(() => undefined)
  await untilItGrowsNoMore(pid)
  await lock.release()
  for (const outcome of await ended) expect(outcome).toMatchObject({ stored: DOCUMENTS, committedLines: DOCUMENTS })
  const { peak } = memoryMiB(pid)
  console.log(`${IMPORTS} imports at once took ${Math.round(peak)} MiB at most`)
  expect(peak).toBeLessThan(LIMIT_MIB)
})
