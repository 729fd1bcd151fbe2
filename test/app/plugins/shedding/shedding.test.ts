import { request } from 'node:http'
import { createServer } from 'node:net'
import Type from 'typebox'
import { describe, expect, test } from 'vitest'
import { listen } from '../../../../app/listen.ts'
import { Metrics } from '../../../../app/metrics.ts'
import { EventLoopDelay } from '../../../../app/plugins/shedding/event-loop-delay.ts'
import type { App } from '../../../../app/schemas/app.ts'
import { buildTestApp, listenTestApp } from '../../../support/app.ts'
import { atEndOfFile } from '../../../support/end-of-file.ts'
import { eventually } from '../../../support/eventually.ts'

const config = { access: 'Write' } as const

/** A route that answers when it is told to. */
class Gate {
  entered = 0
  readonly #opened = Promise.withResolvers<void>()

  routes(app: App): void {
    app.get('/t/gate', { config }, async () => {
      this.entered += 1
      await this.#opened.promise
      return {}
    })
    app.get('/t/quick', { config }, () => ({}))
    app.post('/t/body', { config, schema: { body: Type.Object({}) } }, async () => {
      this.entered += 1
      await this.#opened.promise
      return {}
    })
  }

  open(): void {
    this.#opened.resolve()
  }
}

async function expectShed(app: App, url = '/t/quick'): Promise<void> {
  const answer = await app.inject(url)
  expect(answer.json()).toMatchObject({ status: 503, code: 'overloaded' })
  expect(['1', '2', '3']).toContain(answer.headers['retry-after'])
  for (const probe of ['/livez', '/readyz', '/health']) {
    expect((await app.inject(probe)).body).not.toContain('overloaded')
  }
}

describe('requests are shed', () => {
  test('above the number of requests at the same time, and no longer', async () => {
    const gate = new Gate()
    const metrics = new Metrics('1.2.3')
    const app = await buildTestApp({
      env: { SHED_REQUESTS: '2' },
      routes: (bare) => gate.routes(bare),
      parts: { metrics },
    })
    const held = [app.inject('/t/gate'), app.inject('/t/gate')]
    await eventually(() => expect(gate.entered).toBe(2))
    await expectShed(app)
    gate.open()
    expect((await Promise.all(held)).map((answer) => answer.statusCode)).toEqual([200, 200])
    expect((await app.inject('/t/quick')).statusCode).toBe(200)
    expect(await metrics.registry.metrics()).toContain('http_requests_shed_total{reason="requests"} 1')
  })

  test('above the bytes of bodies at the same time, and those bytes are given back', async () => {
    const gate = new Gate()
    const app = await buildTestApp({
      env: { SHED_BYTES: '3MiB', BODY_LIMIT: '1MiB' },
      routes: (bare) => gate.routes(bare),
    })
    const send = () =>
      app.inject({
        method: 'POST',
        url: '/t/body',
        headers: { 'content-type': 'application/json' },
        payload: JSON.stringify({ text: 'x'.repeat(900_000) }),
      })
    const first = send()
    await eventually(() => expect(gate.entered).toBe(1))
    expect((await send()).json()).toMatchObject({ status: 503, code: 'overloaded' })
    gate.open()
    expect((await first).statusCode).toBe(200)
    expect((await send()).statusCode).toBe(200)
  })

  test('what a caller held who went away is given back', async () => {
    const gate = new Gate()
    const url = await listenTestApp({ env: { SHED_REQUESTS: '1' }, routes: (bare) => gate.routes(bare) })
    const call = request(`${url}/t/gate`).on('error', () => undefined)
    call.end()
    await eventually(() => expect(gate.entered).toBe(1))
    expect((await fetch(`${url}/t/quick`)).status).toBe(503)
    call.destroy()
    await eventually(async () => expect((await fetch(`${url}/t/quick`)).status).toBe(200))
    gate.open()
  })

  test('while the event loop is late twice in a row', async () => {
    const eventLoop = new EventLoopDelay()
    const gate = new Gate()
    const app = await buildTestApp({
      env: { SHED_EVENT_LOOP_DELAY: '500ms' },
      routes: (bare) => gate.routes(bare),
      parts: { eventLoop },
    })
    eventLoop.sample(0)
    eventLoop.sample(1_000)
    expect((await app.inject('/t/quick')).statusCode).toBe(200)
    eventLoop.sample(2_000)
    await expectShed(app)
    eventLoop.sample(2_100)
    expect((await app.inject('/t/quick')).statusCode).toBe(200)
  })

  test('while too many wait for a database connection', async () => {
    const silent = createServer((socket) => atEndOfFile(() => socket.destroy()))
    atEndOfFile(() => new Promise((resolve) => silent.close(resolve)))
    const { port } = new URL(await listen(silent, '127.0.0.1', 0))
    const gate = new Gate()
    const app = await buildTestApp({
      env: {
        DATABASE_URL: `postgres://nobody@127.0.0.1:${port}/nothing`,
        SHED_POOL_WAITING: '1',
        MAX_POOL_SIZE: '1',
        POOL_ACQUIRE_TIMEOUT: '3s',
      },
      routes: (bare) => gate.routes(bare),
      onStores: ({ database }) => {
        for (let n = 0; n < 3; n += 1) void database.query({ text: 'SELECT 1' }).catch(() => undefined)
      },
    })
    await expectShed(app)
  })
})
