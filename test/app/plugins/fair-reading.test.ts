import { createHash, randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { listen } from '../../../app/listen.ts'
import { readFairly } from '../../../app/plugins/fair-reading.ts'
import { answerClientErrors } from '../../../app/plugins/problems/client-errors.ts'
import { atEndOfFile } from '../../support/end-of-file.ts'

async function serve(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<number> {
  const server = createServer(answer)
  readFairly(server)
  answerClientErrors(server)
  atEndOfFile(() => {
    server.close()
    server.closeAllConnections()
  })
  return Number(new URL(await listen(server, '127.0.0.1', 0)).port)
}

/** Sends bytes and answers what comes back until the other side ends. */
async function say(port: number, bytes: Buffer | string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  socket.write(bytes)
  return text(socket)
}

function hashOf(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}

test('a body comes whole and in order to one who pauses', async () => {
  const port = await serve(async (request, response) => {
    const hash = createHash('sha256')
    for await (const piece of request) {
      hash.update(piece as Buffer)
      if ((piece as Buffer).length % 2 === 0) await nextTurn()
    }
    response.setHeader('connection', 'close').end(hash.digest('hex'))
  })
  const body = randomBytes(3_000_001)
  const head = `POST / HTTP/1.1\r\nhost: a\r\ncontent-length: ${body.length}\r\n\r\n`
  expect(await say(port, Buffer.concat([Buffer.from(head), body]))).toContain(hashOf(body))
})

test('requests of one connection are answered in their order, more than fit into a turn', async () => {
  const port = await serve((request, response) => {
    const answer = () => response.end(`<${request.url}>`)
    if (Number(request.url?.slice(1)) % 3 === 0) setImmediate(answer)
    else answer()
  })
  const paths = Array.from({ length: 5_000 }, (_, index) => `/${index}`)
  const last = 'GET /last HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n'
  const bytes = `${paths.map((path) => `GET ${path} HTTP/1.1\r\nhost: a\r\n\r\n`).join('')}${last}`
  const answers = await say(port, bytes)
  expect([...answers.matchAll(/<(.*?)>/g)].map(([, path]) => path)).toEqual([...paths, '/last'])
})

test('what comes after no request is not listened to: the answer to it is the last, and it comes', async () => {
  const port = await serve((_request, response) => response.end())
  const answer = await say(port, `no request\r\n${'x'.repeat(60_000)}`)
  expect(answer.match(/^HTTP\/1\.1 /gm)).toHaveLength(1)
  expect(answer).toMatch(/^HTTP\/1\.1 400 [\s\S]*"code":"invalid_request"/)
})

test('the end of a connection comes behind all that was sent', async () => {
  const received = Promise.withResolvers<number>()
  const port = await serve((request) => {
    let bytes = 0
    request.on('data', (piece: Buffer) => {
      bytes += piece.length
    })
    request.on('error', () => received.resolve(bytes))
  })
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true }).resume()
  socket.end(`POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3000000\r\n\r\n${'x'.repeat(2_000_001)}`)
  expect(await received.promise).toBe(2_000_001)
  socket.destroy()
})

test('of one connection few requests are under way at a time, however many it sends', async () => {
  let open = 0
  let most = 0
  const port = await serve((_request, response) => {
    open += 1
    most = Math.max(most, open)
    response.on('close', () => {
      open -= 1
    })
    setImmediate(() => response.end('<>'))
  })
  const last = 'GET /last HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n'
  const answers = await say(port, `${'GET / HTTP/1.1\r\nhost:\r\n\r\n'.repeat(2_000)}${last}`)
  expect(answers.split('<>')).toHaveLength(2_002)
  expect(most).toBeLessThan(60)
})
