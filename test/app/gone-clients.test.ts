import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import Type from 'typebox'
import { expect, test } from 'vitest'
import type { ByteBudget } from '../../app/byte-budget.ts'
import { listen } from '../../app/listen.ts'
import type { App } from '../../app/schemas/app.ts'
import { buildTestApp } from '../support/app.ts'
import { atEndOfFile } from '../support/end-of-file.ts'
import { eventually } from '../support/eventually.ts'

const JSON_TYPE = { 'content-type': 'application/json' }

function routes(app: App): void {
  app.post('/t/body', { config: { access: 'Write' }, schema: { body: Type.Object({}) } }, () => ({ read: true }))
}

const seen: { memory?: ByteBudget } = {}
const app = await buildTestApp({
  routes,
  onStores: ({ memory }) => {
    seen.memory = memory
  },
})
atEndOfFile(() => app.server.closeAllConnections())
const url = await listen(app.server, '127.0.0.1', 0)
const memory = seen.memory as ByteBudget

/** A client that sends a part of a request and goes away after some time. */
type Leaver = { path: string; body: Buffer; sentShare: number; afterMs: number; isGzip: boolean }

async function leave({ path, body, sentShare, afterMs, isGzip }: Leaver): Promise<void> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  const closed = new Promise((resolve) => socket.on('close', resolve))
  socket.on('error', () => undefined)
  const type = path.endsWith('import') ? 'application/x-ndjson' : 'application/json'
  const coding = isGzip ? 'Content-Encoding: gzip\r\n' : ''
  socket.write(
    `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: ${type}\r\n${coding}Content-Length: ${body.length}\r\n\r\n`,
  )
  const written = new Promise((resolve) => socket.write(body.subarray(0, Math.ceil(body.length * sentShare)), resolve))
  await Promise.race([written, closed])
  await delay(afterMs)
  socket.destroy()
  await closed
}

async function expectNothingHeld(): Promise<void> {
  await eventually(() => expect(memory.heldBytes).toBe(0))
  const answer = await fetch(`${url}/t/body`, { method: 'POST', body: '{}', headers: JSON_TYPE })
  expect(answer.status).toBe(200)
  await answer.text()
  await eventually(() => expect(memory.heldBytes).toBe(0))
}

test('300 clients that go away while their bodies are inflated leave nothing behind', async () => {
  const body = gzipSync(`{"text":"${'x'.repeat(30_000_000)}"}`)
  expect(body.length).toBeLessThan(40_000)
  for (let round = 0; round < 3; round += 1) {
    const leavers = Array.from({ length: 100 }, (_, n) =>
      leave({ path: '/t/body', body, sentShare: 1, afterMs: n % 7, isGzip: true }),
    )
    await Promise.all(leavers)
  }
  await expectNothingHeld()
})

test('nor do clients that go away at any other moment', async () => {
  const text = Buffer.from(`{"text":"${'x'.repeat(2_000_000)}"}`)
  const leaver = fc.record({
    path: fc.constantFrom('/t/body', '/t/body', '/nothing', '/api/documents/import'),
    body: fc.constantFrom(text, Buffer.from('{}')),
    sentShare: fc.double({ min: 0, max: 1, noNaN: true }),
    afterMs: fc.nat({ max: 5 }),
    isGzip: fc.boolean(),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(leaver, { minLength: 1, maxLength: 8 }), async (leavers) => {
      const sent = leavers.map((one) => (one.isGzip ? { ...one, body: gzipSync(one.body, { level: 1 }) } : one))
      await Promise.all(sent.map(leave))
      await expectNothingHeld()
    }),
    { numRuns: 25 },
  )
})
