import { gzipSync } from 'node:zlib'
import { beforeAll, expect, test } from 'vitest'
import type { ByteBudget } from '../../../app/byte-budget.ts'
import { listen } from '../../../app/listen.ts'
import * as limits from '../../../app/routes/body-limits.ts'
import { buildTestApp } from '../../support/app.ts'
import { createTestDatabase } from '../../support/database.ts'
import { atEndOfFile } from '../../support/end-of-file.ts'
import { eventually } from '../../support/eventually.ts'

const BODY_BYTES = 32 * 1_048_576
const METADATA_BYTES = 262_144
const ID = '018f0000-0000-7000-8000-00000000000a'
const URL_OF_ID = 'https://a.example/'
const QUEUE = '/api/queues/q'

/** `body` has an @ where blanks may stand. */
type Case = { method: string; path: string; body: string; bytes: number; answer: unknown }

/** Every route that reads JSON, with as many bytes as it takes, and what it answers. */
const CASES: Case[] = [
  of(`PUT ${QUEUE}`, '{@"retryLimit":3}', limits.OPTIONS_BYTES, { name: 'q', retryLimit: 3 }),
  of(`PUT ${QUEUE}/hosts/a.example`, '{@"maxActive":2}', limits.OPTIONS_BYTES, { maxActive: 2 }),
  of(`POST ${QUEUE}/pause`, '{@}', limits.OPTIONS_BYTES, { paused: true }),
  of(`POST ${QUEUE}/resume`, '{@}', limits.OPTIONS_BYTES, { paused: false }),
  of(`POST ${QUEUE}/redrive`, '{@"limit":1}', limits.OPTIONS_BYTES, { redriven: 0 }),
  of('POST /api/queue', '{"operation":"push","queue":"q","items":[{@"id":"i"}]}', BODY_BYTES, { success: true }),
  of('POST /api/queue', '{@"operation":"peek","queue":"q"}', limits.TAKE_BYTES, { items: [{ id: 'i' }] }),
  of('POST /api/queue', '{@"operation":"pop","queue":"q"}', limits.TAKE_BYTES, { success: true }),
  of('POST /api/documents', `{"documents":[{@"id":"${ID}","url":"${URL_OF_ID}"}]}`, BODY_BYTES, { stored: 1 }),
  of('POST /api/documents/lookup', `{"ids":["${ID}"]@}`, limits.LOOKUP_BYTES, { documents: [{ id: ID }] }),
  of(`PATCH /api/documents/${ID}`, '{@"status":"new"}', limits.patchBytes(METADATA_BYTES), { status: 'new' }),
  of('POST /api/documents/delete', `{"ids":["${ID}"]@}`, limits.DELETE_BYTES, { deleted: 1 }),
]

let url: string
let memory: ByteBudget

beforeAll(async () => {
  const database = await createTestDatabase()
  const env = { DATABASE_URL: database.url, METADATA_LIMIT: `${METADATA_BYTES / 1_024}KiB` }
  const app = await buildTestApp({
    env,
    onStores: (stores) => {
      memory = stores.memory
    },
  })
  atEndOfFile(() => app.server.closeAllConnections())
  url = await listen(app.server, '127.0.0.1', 0)
  // Each case finds what those before it have left.
  await send('POST', '/api/queue', Buffer.from('{"operation":"push","queue":"q","items":[]}'), false)
})

test.for(CASES.flatMap((one) => [false, true].map((isGzip) => ({ ...one, isGzip }))))(
  '$method $path as large as it may be, gzip: $isGzip',
  async ({ method, path, body, bytes, answer, isGzip }) => {
    if (path.startsWith('/api/documents/')) await storeDocument()
    const over = await send(method, path, padded(body, bytes + 1), isGzip)
    expect(over).toMatchObject({ status: 413, body: { code: 'body_too_large' } })
    expect(await send(method, path, padded(body, bytes), isGzip)).toMatchObject({ body: answer })
    await eventually(() => expect(memory.heldBytes).toBe(0))
  },
)

function of(name: string, body: string, bytes: number, answer: unknown): Case {
  const [method = '', path = ''] = name.split(' ')
  return { method, path, body, bytes, answer }
}

function padded(body: string, bytes: number): Buffer {
  return Buffer.from(body.replace('@', ' '.repeat(bytes - body.length + 1)))
}

async function storeDocument(): Promise<void> {
  await send('POST', '/api/documents', Buffer.from(`{"documents":[{"id":"${ID}","url":"${URL_OF_ID}"}]}`), false)
}

async function send(method: string, path: string, body: Buffer, isGzip: boolean) {
  const coding: Record<string, string> = isGzip ? { 'content-encoding': 'gzip' } : {}
  const headers = { 'content-type': 'application/json', ...coding }
  const response = await fetch(`${url}${path}`, { method, headers, body: isGzip ? gzipSync(body) : body })
  return { status: response.status, body: (await response.json()) as unknown }
}
