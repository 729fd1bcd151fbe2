import { Readable } from 'node:stream'
import Type from 'typebox'
import { describe, expect, test } from 'vitest'
import type { ByteBudget } from '../../app/byte-budget.ts'
import { listen } from '../../app/listen.ts'
import type { App } from '../../app/schemas/app.ts'
import { buildTestApp, type TestAppOptions } from '../support/app.ts'
import { atEndOfFile } from '../support/end-of-file.ts'
import { eventually } from '../support/eventually.ts'
import { RawClient } from '../support/raw-client.ts'

const MEBIBYTE = 1_048_576
const JSON_TYPE = { 'content-type': 'application/json' }
const JSON_LINES = ['Content-Type: application/json', 'Content-Length: 2']
// More than the buffers of a connection take.
const ANSWER_BYTES = 12 * MEBIBYTE

function routes(app: App): void {
  const read = { access: 'Read' } as const
  const json = 'application/json'
  const text = `"${'x'.repeat(ANSWER_BYTES - 2)}"`
  app.get('/t/list', { config: read }, (_request, reply) => reply.header('etag', '"1"').type(json).send(text))
  app.get('/t/page', { config: read }, () => ({ read: true }))
  app.get('/t/stream', { config: { ...read, streamBytes: 2 * MEBIBYTE } }, (_request, reply) =>
    reply.type(json).send(Readable.from(endless(), { objectMode: false })),
  )
  app.post('/t/taken', { config: { access: 'Write' }, schema: { body: Type.Object({}) } }, (_request, reply) =>
    reply.type(json).send(text),
  )
}

async function* endless() {
  for (;;) yield Buffer.alloc(65_536, ' ')
}

async function start(options: TestAppOptions = {}) {
  let memory: ByteBudget | undefined
  const onStores: TestAppOptions['onStores'] = (stores) => {
    memory = stores.memory
  }
  const app = await buildTestApp({ routes, onStores, ...options })
  atEndOfFile(() => app.server.closeAllConnections())
  const url = await listen(app.server, '127.0.0.1', 0)
  return { url, port: Number(new URL(url).port), memory: memory as ByteBudget }
}

/** A client that asks and reads nothing of the answer. */
function ask(port: number, path: string, method = 'GET'): RawClient {
  const client = new RawClient(port)
  client.socket.pause()
  client.head([`${method} ${path} HTTP/1.1`, ...(method === 'GET' ? [] : JSON_LINES)])
  if (method !== 'GET') client.socket.write('{}')
  return client
}

describe('answers that are not read', () => {
  test('count, leave room to those who write, and are let go where there is no room', async () => {
    const { url, port, memory } = await start({ env: { SHED_BYTES: '64MiB', BODY_LIMIT: '16MiB' } })
    const clients = Array.from({ length: 12 }, () => ask(port, '/t/list'))
    await eventually(() => expect(memory.heldBytes).toBe(4 * ANSWER_BYTES))
    for (const client of clients.slice(4)) client.read()
    await eventually(() => expect(clients.slice(4).filter(({ status }) => status > 0).length).toBe(8))
    const counts = clients.slice(4).filter(({ status }) => status === 503)
    expect(counts.length).toBeGreaterThanOrEqual(4)
    for (const { received } of counts) {
      expect(received).toMatch(/"code":"overloaded"/)
      expect(received.toLowerCase()).not.toContain('etag')
      expect(received.toLowerCase()).toContain('retry-after')
    }
    expect(memory.heldBytes).toBeLessThanOrEqual(48 * MEBIBYTE)
    const stored = await fetch(`${url}/t/taken`, { method: 'POST', body: '{}', headers: JSON_TYPE })
    expect((await stored.text()).length).toBe(ANSWER_BYTES)
    for (const client of clients) client.socket.destroy()
    await eventually(() => expect(memory.heldBytes).toBe(0))
  })

  test('of what was changed for them are never let go, and shed those who come after them', async () => {
    const { url, port, memory } = await start({ env: { SHED_BYTES: '32MiB', BODY_LIMIT: '8MiB' } })
    const clients = [1, 2, 3].map(() => ask(port, '/t/taken', 'POST'))
    await eventually(() => expect(memory.heldBytes).toBeGreaterThanOrEqual(3 * ANSWER_BYTES))
    expect((await fetch(`${url}/t/page`)).status).toBe(503)
    for (const client of clients) client.read()
    await eventually(async () => expect((await fetch(`${url}/t/page`)).status).toBe(200))
    await eventually(() => expect(clients.every(({ received }) => received.length > ANSWER_BYTES)).toBe(true))
    expect(clients.map(({ status }) => status)).toEqual([200, 200, 200])
  })

  test('count as what they are compressed to', async () => {
    const { port, memory } = await start()
    const client = new RawClient(port)
    client.head(['POST /t/taken HTTP/1.1', ...JSON_LINES, 'Accept-Encoding: gzip'])
    client.socket.write('{}')
    const counted: number[] = []
    client.socket.on('data', () => counted.push(memory.heldBytes))
    await eventually(() => expect(counted.length).toBeGreaterThan(0))
    expect(Math.max(...counted)).toBeLessThan(MEBIBYTE)
    await eventually(() => expect(memory.heldBytes).toBe(0))
  })

  test('as a stream, count as what it holds', async () => {
    const { port, memory } = await start({ env: { SHED_BYTES: '64MiB', BODY_LIMIT: '16MiB' } })
    const clients = Array.from({ length: 40 }, () => ask(port, '/t/stream'))
    await eventually(() => expect(memory.heldBytes).toBe(48 * MEBIBYTE))
    for (const client of clients) client.socket.destroy()
    await eventually(() => expect(memory.heldBytes).toBe(0))
  })
})

describe('a connection that reads nothing', () => {
  const IDLE_MS = 500

  test.each(['/t/list', '/t/stream'])('of %s is closed after IDLE_TIMEOUT, one that reads is not', async (path) => {
    const { port, memory } = await start({
      configure: (config) => ({ ...config, timeouts: { ...config.timeouts, idleMs: IDLE_MS } }),
    })
    const startedAt = performance.now()
    const silent = ask(port, path)
    const reading = ask(port, '/t/stream')
    const timer = setInterval(() => reading.socket.read(), IDLE_MS / 20)
    await eventually(() => expect(memory.heldBytes).toBeGreaterThan(2 * MEBIBYTE))
    // It reads nothing and so does not see the end.
    await eventually(() => expect(memory.heldBytes).toBe(2 * MEBIBYTE))
    expect(performance.now() - startedAt).toBeGreaterThan(IDLE_MS / 2)
    expect(reading.isClosed).toBe(false)
    clearInterval(timer)
    silent.socket.destroy()
    reading.socket.destroy()
    await eventually(() => expect(memory.heldBytes).toBe(0))
  })
})
