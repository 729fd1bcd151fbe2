import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { gzipSync } from 'node:zlib'
import Type from 'typebox'
import { describe, expect, test } from 'vitest'
import { unauthorized } from '../../../../app/auth/caller.ts'
import type { ByteBudget } from '../../../../app/byte-budget.ts'
import { listen } from '../../../../app/listen.ts'
import type { App } from '../../../../app/schemas/app.ts'
import { buildTestApp, listenTestApp, sendRaw, type TestAppOptions } from '../../../support/app.ts'
import { atEndOfFile } from '../../../support/end-of-file.ts'
import { eventually } from '../../../support/eventually.ts'
import { RawClient } from '../../../support/raw-client.ts'

const MEBIBYTE = 1_048_576
const TYPE = 'Content-Type: application/json'
const LONG = 'Content-Length: 1000000'
const WRITER = 'Authorization: writer'
const READER = 'Authorization: reader'

/** Knows one caller who may read, and others who may write. */
const authenticator = {
  authenticate: (header: string | undefined) => {
    if (header === undefined) throw unauthorized('No credential.')
    return { name: header, access: header === 'reader' ? ('Read' as const) : ('Write' as const) }
  },
}

function routes(app: App): void {
  const schema = { body: Type.Object({}) }
  app.post('/t/body', { config: { access: 'Write' }, schema }, () => ({ read: true }))
  app.post('/t/small', { config: { access: 'Write', bodyLimit: 100 }, schema }, () => ({ read: true }))
  app.post('/t/admin', { config: { access: 'Admin' }, schema }, () => ({ read: true }))
  app.get('/t/page', { config: { access: 'Write' } }, () => ({ read: true }))
}

async function start(options: TestAppOptions = {}) {
  let memory: ByteBudget | undefined
  const onStores: TestAppOptions['onStores'] = (stores) => {
    memory = stores.memory
  }
  const app = await buildTestApp({ routes, parts: { authenticator }, onStores, ...options })
  atEndOfFile(() => app.server.closeAllConnections())
  const url = await listen(app.server, '127.0.0.1', 0)
  return { url, port: Number(new URL(url).port), memory: memory as ByteBudget }
}

const { url, port, memory } = await start()

describe('what is wrong with a request is said before any byte of its body is read', () => {
  test.each<[number, string[]]>([
    [404, ['POST /nothing HTTP/1.1', TYPE, LONG]],
    [404, ['POST /nothing HTTP/1.1', TYPE, 'Transfer-Encoding: chunked', 'Content-Encoding: gzip']],
    [400, ['POST /t/%zz HTTP/1.1', TYPE, LONG]],
    [400, ['POST /t/body HTTP/1.1', 'Host: one', 'Host: two', TYPE, LONG]],
    [421, ['POST /t/body HTTP/1.1', 'Host: rebound.example', TYPE, LONG]],
    [405, ['POST /livez HTTP/1.1', TYPE, LONG]],
    [405, ['PUT /docs/static/index.html HTTP/1.1', TYPE, LONG]],
    [405, ['PUT /t/body HTTP/1.1', TYPE, LONG]],
    [401, ['POST /t/body HTTP/1.1', 'Accept: text/html', 'Content-Type: text/plain', LONG]],
    [403, ['POST /t/admin HTTP/1.1', WRITER, 'Accept: text/html', 'Content-Type: text/plain', LONG]],
    [406, ['POST /t/body HTTP/1.1', WRITER, 'Accept: text/html', 'Content-Type: text/plain', LONG]],
    [415, ['POST /t/body HTTP/1.1', WRITER, LONG]],
    [415, ['POST /t/body HTTP/1.1', WRITER, 'Content-Type: text/plain', LONG]],
    [415, ['POST /t/body HTTP/1.1', WRITER, 'Content-Type: application/json; charset=latin1', LONG]],
    [415, ['POST /t/small HTTP/1.1', WRITER, 'Content-Encoding: br', TYPE, LONG]],
    [413, ['POST /t/small HTTP/1.1', WRITER, TYPE, LONG]],
    [413, ['POST /t/body HTTP/1.1', WRITER, TYPE, 'Content-Length: 999999999999']],
    [413, ['POST /api/queue HTTP/1.1', READER, TYPE, `Content-Length: ${MEBIBYTE + 1}`]],
    [415, ['POST /api/documents/import HTTP/1.1', WRITER, TYPE, LONG]],
  ])('%i for %j', async (status, lines) => {
    const client = RawClient.open(port, lines)
    await eventually(() => expect(client.status).toBe(status))
    expect(client.received).toContain('application/problem+json')
    const waiting = RawClient.open(port, [...lines, 'Expect: 100-continue'])
    await eventually(() => expect(waiting.isClosed).toBe(true))
    expect(waiting.status).toBe(status)
    expect(memory.heldBytes).toBe(0)
  })

  test('a client that waits to be told to go on is told so when its body is read', async () => {
    const client = RawClient.open(port, [
      'POST /t/body HTTP/1.1',
      WRITER,
      TYPE,
      'Content-Length: 2',
      'Expect: 100-continue',
    ])
    await eventually(() => expect(client.status).toBe(100))
    client.socket.write('{}')
    await eventually(() => expect(client.received).toContain('{"read":true}'))
  })

  test('a route without a limit of its own takes what BODY_LIMIT says, and one with more takes no more than that', async () => {
    const app = await buildTestApp({
      env: { BODY_LIMIT: '1KiB' },
      routes: (bare) => void bare.post('/t/large', { config: { access: 'Write', bodyLimit: 5_000 } }, () => ({})),
    })
    const post = (payload: string) =>
      app.inject({ method: 'POST', url: '/t/large', payload, headers: { 'content-type': 'application/json' } })
    expect((await post(`"${'x'.repeat(1_000)}"`)).statusCode).toBe(200)
    expect((await post(`"${'x'.repeat(1_500)}"`)).statusCode).toBe(413)
  })
})

describe('refused requests count in no limit of others', () => {
  test('whatever they do with their bodies', async () => {
    const { port: busy } = await start({ env: { SHED_REQUESTS: '1', SHED_BYTES: '3MiB', BODY_LIMIT: '1MiB' } })
    const bomb = gzipSync(Buffer.alloc(900_000, ' '))
    const heads = [
      ['POST /nothing HTTP/1.1', TYPE],
      ['POST /livez HTTP/1.1', TYPE],
      ['POST /t/body HTTP/1.1', TYPE],
      ['POST /t/body HTTP/1.1', WRITER, 'Content-Type: text/plain'],
    ]
    const clients = heads.flatMap((lines) =>
      [1, 2, 3, 4, 5].map(() => RawClient.open(busy, [...lines, 'Content-Encoding: gzip', LONG])),
    )
    for (const client of clients) client.socket.write(bomb)
    await eventually(() => expect(clients.every(({ status }) => status >= 401)).toBe(true))
    const page = RawClient.open(busy, ['GET /t/page HTTP/1.1', WRITER])
    await eventually(() => expect(page.status).toBe(200))
  })

  test('nor do pages that are open to all use up the places of others', async () => {
    const entered: (() => void)[] = []
    const open = (app: App) => {
      routes(app)
      const wait = () => new Promise((resolve) => entered.push(() => resolve({})))
      app.get('/t/open', { config: { access: 'Open' } }, wait)
    }
    const { port: busy } = await start({ env: { SHED_REQUESTS: '1' }, routes: open })
    for (let n = 0; n < 5; n += 1) RawClient.open(busy, ['GET /t/open HTTP/1.1'])
    await eventually(() => expect(entered.length).toBe(5))
    const page = RawClient.open(busy, ['GET /t/page HTTP/1.1', WRITER])
    await eventually(() => expect(page.status).toBe(200))
    for (const answer of entered) answer()
  })
})

test('a body in chunks of a byte is refused before it takes more memory than it has bytes', async () => {
  const url = await listenTestApp()
  const head = 'POST /api/documents/lookup HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n'
  const body = `${'1\r\n \r\n'.repeat(40_000)}0\r\n\r\n`
  const answer = await sendRaw(url, `${head}transfer-encoding: chunked\r\nconnection: close\r\n\r\n${body}`)
  expect(answer).toMatch(/^HTTP\/1\.1 400 /)
  expect(answer).toContain('too many pieces')
})

describe('the rest of a body that is not read', () => {
  test('does not keep a client from seeing the answer, which sends all of it before it reads', async () => {
    const body = randomBytes(20 * MEBIBYTE)
    const headers = { 'content-type': 'application/json', 'content-encoding': 'gzip', authorization: 'writer' }
    for (const [path, status] of [
      ['/nothing', 404],
      ['/t/small', 413],
      ['/t/body', 400],
    ] as const) {
      const client = RawClient.open(port, [
        `POST ${path} HTTP/1.1`,
        ...Object.entries(headers).map((h) => h.join(': ')),
        `Content-Length: ${body.length}`,
      ])
      client.socket.pause()
      await new Promise((resolve) => client.socket.write(body, resolve))
      client.socket.resume()
      await eventually(() => expect(client.status).toBe(status))
    }
    expect((await fetch(`${url}/nothing`, { method: 'POST', body, headers })).status).toBe(404)
  })

  test('leaves the connection usable where it is short', async () => {
    const client = RawClient.open(port, ['POST /nothing HTTP/1.1', TYPE, 'Content-Length: 20'])
    await eventually(() => expect(client.status).toBe(404))
    client.socket.write('x'.repeat(20))
    client.head(['GET /livez HTTP/1.1'])
    await eventually(() => expect(client.received).toContain('{"status":"live"}'))
  })

  test('is no way to keep a connection: one that sends on without end, or nothing more, is closed', async () => {
    const endless = RawClient.open(port, ['POST /nothing HTTP/1.1', TYPE, 'Transfer-Encoding: chunked'])
    const piece = `100000\r\n${'x'.repeat(MEBIBYTE)}\r\n`
    const push = () => {
      while (!endless.isClosed && endless.socket.write(piece));
    }
    endless.socket.on('drain', push)
    push()
    const silent = RawClient.open(port, ['POST /livez HTTP/1.1', TYPE, 'Content-Length: 70000'])
    const short = RawClient.open(port, ['POST /livez HTTP/1.1', TYPE, 'Content-Length: 10'])
    const page = RawClient.open(port, ['GET /t/page HTTP/1.1', WRITER, 'Content-Length: 10'])
    for (const client of [endless, silent, short, page]) {
      await eventually(() => expect(client.isClosed).toBe(true), { timeoutMs: 10_000 })
    }
    expect([endless.status, silent.status, short.status, page.status]).toEqual([404, 405, 405, 200])
  })
})

test('a request line of another version, and a Host that is none, are 400', async () => {
  const bad = [
    ['GET /livez HTTP/2.0'],
    ['GET /livez HTTP/0.9'],
    ['GET /livez HTTP/1.1', 'Host: a b'],
    ['GET /livez HTTP/1.1', 'Host: user@localhost'],
    ['GET /livez HTTP/1.1', 'Host: localhost', 'hOST: localhost'],
    ['POST /livez HTTP/1.0', 'Transfer-Encoding: chunked'],
  ]
  for (const lines of bad) {
    const client = RawClient.open(port, lines)
    await eventually(() => expect([client.status, lines]).toEqual([400, lines]))
  }
  const [old] = (await once(httpRequest(`${url}/livez`).end(), 'response')) as [IncomingMessage]
  expect(old.resume().statusCode).toBe(200)
})
