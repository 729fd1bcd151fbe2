import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { gzipSync } from 'node:zlib'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type ServiceProcess, startService } from '../../../fault/service-process.ts'
import { createTestDatabase } from '../../../support/database.ts'
import { eventually } from '../../../support/eventually.ts'

const MIB = 1_048_576
const BODY = 32 * MIB - 1_024
/** Of processor time, on a machine that takes `REFERENCE_MS` for the reference. */
const LONGEST_TURN_MS = 100
const REFERENCE_MS = 10
const NODE = ['--max-old-space-size=256', '--max-semi-space-size=8', '--import', './test/support/turn-watch.ts']

let service: ServiceProcess

beforeAll(async () => {
  const database = await createTestDatabase()
  service = await startService({ databaseUrl: database.url, nodeArguments: NODE })
})

let asked = 0

/** Of the turns since it was asked last. */
async function longestTurn(): Promise<number> {
  asked += 1
  const line = new RegExp(`longest turn ${asked}: ([\\d.]+) ms`)
  process.kill(service.pid as number, 'SIGUSR2')
  await eventually(async () => line.test(service.log))
  return Number(line.exec(service.log)?.[1])
}

async function send(method: string, path: string, body: string | Buffer, type = 'application/json') {
  const headers = { 'content-type': type, 'content-encoding': 'gzip' }
  const response = await fetch(`${service.url}${path}`, { method, headers, body: gzipSync(body, { level: 1 }) })
  const text = await response.text()
  return { status: response.status, text }
}

/** Sends bytes on a connection of its own, the last request of which ends it. */
async function raw(bytes: string, url = service.url) {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  let text = ''
  socket.setEncoding('latin1').on('data', (part) => {
    text += part
  })
  socket.write(bytes)
  await once(socket, 'end')
  return { status: Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1]), text }
}

/** A body of spaces, each of them a chunk. */
function crumbs(path: string, coding = 'identity', type = 'application/json'): string {
  const head = `POST ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: ${type}\r\ncontent-encoding: ${coding}\r\n`
  const body = '1\r\n \r\n'.repeat(65_536)
  return `${head}connection: close\r\ntransfer-encoding: chunked\r\n\r\n${body}0\r\n\r\n`
}

/** As many requests as fit into what is read of a connection at once, and one that ends it. */
function pipelined(path: string): string {
  const request = `GET ${path} HTTP/1.1\r\nhost:\r\n\r\n`
  return `${request.repeat(65_536 / request.length)}GET /livez HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n`
}

function filled(start: string, part: string, end: string, bytes = BODY): string {
  const times = Math.floor((bytes - start.length - end.length) / part.length)
  return `${start}${part.repeat(times)}${end}`
}

const post = (body: string | Buffer) => send('POST', '/api/documents', body)
const queue = (body: string | Buffer) => send('POST', '/api/queue', body)
const line = (body: string | Buffer) => send('POST', '/api/documents/import', body, 'application/x-ndjson')
const documents = (count: number, metadata: (n: number) => unknown, name = 'd') =>
  JSON.stringify({
    documents: Array.from({ length: count }, (_, n) => ({
      url: `https://${name}.example/${n}`,
      metadata: metadata(n),
    })),
  })
const push = (items: unknown[]) => JSON.stringify({ operation: 'push', queue: 'q', items })
const times = <T>(count: number, make: (n: number) => T) => Array.from({ length: count }, (_, n) => make(n))

const CASES: Record<string, () => Promise<{ status: number; text: string }>> = {
  'an array of empty objects': () => post(filled('[', '{},', '1]')),
  'an array behind a key like __proto__': () => post(filled('[{"\\"__proto__":1},', '{},', '1]')),
  'too many documents': () => post(filled('{"documents":[', '{},', '1]}')),
  'too many small arrays of items': () => post(filled('{"documents":[1],"enqueue":[', '{"items":[1]},', '1]}')),
  'a top with many keys': () => post(filled('{', '"a":1,', '"b":1}')),
  'a document with too many values': () => post(filled('{"documents":[{"metadata":{"a":[', '{},', '1]}}]}')),
  'a document of nested arrays': () => post(filled('{"documents":[{"metadata":{"a":', '[', '')),
  'a document of spaces': () => post(filled('{"documents":[{"url":"https://a.example/1",', ' ', '"status":null}]}')),
  'a document with a long number': () => post(filled('{"documents":[{"metadata":{"a":', '1', '}}]}')),
  'a number that is as long as a body': () => queue(filled('{"operation":"pop","queue":"q","count":', '1', '}')),
  'a document with a long number of zeros': () => post(filled('{"documents":[{"metadata":{"a":0.', '0', '1}}]}')),
  'a document with long numbers of zeros': () =>
    post(filled('{"documents":[{"metadata":{"a":[', `0.${'0'.repeat(65_000)}1,`, '1]}}]}')),
  'a list of spaces': () => post(filled('{"documents":[', ' ', ']}')),
  'a list of spaces behind a document': () => post(filled('{"documents":[{"url":"https://a.example/1"},', ' ', ']}')),
  'an array of spaces that is no list': () => post(filled('{"documents":[],"a":[', ' ', ']}')),
  'a body that is one text': () => post(filled('"', '\\u0061', '"')),
  'twelve bodies at once that are one text each': async () => {
    const answers = await Promise.all(times(12, () => post(filled('"', '\\u0061', '"'))))
    return { status: Math.min(...answers.map(({ status }) => status)), text: '' }
  },
  'a document with exact numbers': () =>
    post(filled('{"documents":[{"metadata":{"a":[', '0.12345678901234567890,', '1]}}]}')),
  'a text of escapes': () => post(filled('{"documents":[{"metadata":{"a":"', '\\u0061', '"}}]}')),
  'small documents': () =>
    post(filled('{"documents":[', '{"url":"https://a.example/","metadata":{}},', '1]}', 400_000)),
  'ten thousand documents': () => post(documents(10_000, (n) => ({ n, text: 'ü'.repeat(1_500) }))),
  'documents as large as they may be': () => post(documents(16, () => ({ a: times(87_000, () => ({})) }), 'e')),
  'documents with many keys': () =>
    post(documents(16, () => Object.fromEntries(times(28_000, (n) => [n.toString(36).padStart(4, 'a'), 1])), 'k')),
  'documents of exact numbers': () =>
    post(
      filled(
        '{"documents":[',
        `${filled('{"url":"https://x.example/","metadata":{"a":[', '1.10,', '1]}}', 262_144)},`,
        '1]}',
      ),
    ),
  'the same url again and again': () =>
    post(documents(10_000, (n) => ({ n }), 'd').replaceAll(/example\/\d+/g, 'example/1')),
  'strictly bad documents': () =>
    send('POST', '/api/documents', JSON.stringify({ documents: times(10_000, () => ({ status: 5 })) })),
  'ten thousand items': () =>
    queue(push(times(10_000, (n) => ({ id: `i${n}`, payload: { text: 'ü'.repeat(1_500) } })))),
  'items as large as they may be': () => queue(push(times(16, () => ({ payload: { a: times(87_000, () => ({})) } })))),
  'items with hosts that are not ASCII': () =>
    queue(push(times(5_000, (n) => ({ payload: { url: `https://${hostOf(5_000, n)}/` } })))),
  'items with hosts as long as they may be': () =>
    queue(push(times(10_000, (n) => ({ payload: { url: `https://${hostOf(250, n)}/` } })))),
  'a peek with items': () => queue(filled('{"operation":"peek","queue":"q","items":[', '{},', '1]}')),
  'a pop with items': () => queue(filled('{"operation":"pop","queue":"q","items":[', '{"a":[[1]]},', '1]}')),
  'eight exports that their readers drop at once': async () => {
    for (const name of ['p', 'q', 'r']) await post(documents(10_000, () => ({ text: 'ü'.repeat(1_500) }), name))
    await longestTurn()
    const readers = await Promise.all(times(8, () => exportUntil(16 * MIB)))
    for (const reader of readers) reader.destroy()
    return raw('GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n')
  },
  'a list of large documents': async () => {
    const response = await fetch(`${service.url}/api/documents?limit=1000`)
    return { status: response.status, text: await response.text() }
  },
  receipts: () =>
    queue(
      JSON.stringify({
        operation: 'ack',
        queue: 'q',
        items: times(10_000, (n) => ({ receipt: `${n}`.padEnd(2_700, 'A') })),
      }),
    ),
  'receipts that are too long': () =>
    queue(filled('{"operation":"ack","queue":"q","items":[', `{"receipt":"${'A'.repeat(3_000)}"},`, '1]}')),
  'a look-up of escapes': () =>
    send('POST', '/api/documents/lookup', filled('{"urls":[', `"${'\\u0061'.repeat(2_048)}",`, '""]}', 1_000 * 12_300)),
  'a look-up of empty arrays': () => send('POST', '/api/documents/lookup', filled('{"urls":[', '[],', '""]}')),
  'a patch as large as it may be': () =>
    send(
      'PATCH',
      '/api/documents/00000000-0000-4000-8000-000000000001',
      JSON.stringify({ metadata: { a: times(87_000, () => ({})) } }),
    ),
  'a patch that is too large': () =>
    send('PATCH', '/api/documents/00000000-0000-4000-8000-000000000001', filled('{"metadata":{"a":[', '{},', '1]}}')),
  'an import line': () => line(filled('{"url":"https://a.example/","metadata":{"a":[', '{},', '1]}}', 16 * MIB)),
  'an import line of exact numbers': () =>
    line(filled('{"url":"https://a.example/","metadata":{"a":[', '1.10,', '1]}}', 16 * MIB)),
  'an import line of long numbers': () =>
    line(filled('{"url":"https://a.example/","metadata":{"a":[', `1${'0'.repeat(308)},`, '1]}}', 16 * MIB)),
  'an import line of spaces': () => line(filled('{"url":"https://a.example/",', ' ', '"status":null}', 16 * MIB)),
  'small import lines': () => line(filled('', '{"url":"https://a.example/1"}\n', '', 8 * MIB)),
  'a body in chunks of a byte': () => raw(crumbs('/api/queue')),
  'a gzip body in chunks of a byte': () => raw(crumbs('/api/queue', 'gzip')),
  'a body in chunks of a byte, where nothing is': () => raw(crumbs('/nope')),
  'an import in chunks of a byte': () => raw(crumbs('/api/documents/import', 'identity', 'application/x-ndjson')),
  'many requests at once': () => raw(pipelined('/livez')),
  'many requests at once, for what is not there': () => raw(pipelined('/')),
  'many requests at once, that ask the database': () => raw(pipelined('/api/queues')),
  'many requests of the metrics at once': () => raw(pipelined('/metrics'), service.metricsUrl),
  'empty import lines': () => line(filled('', '{}\n', '', 8 * MIB)),
}

/** Asks for an export on a connection of its own; answers it when so many bytes of the answer have come. */
async function exportUntil(bytes: number): Promise<Socket> {
  const socket = connect(Number(new URL(service.url).port), '127.0.0.1')
  socket.write('GET /api/documents/export HTTP/1.1\r\nhost: localhost\r\n\r\n')
  while (socket.bytesRead < bytes) await once(socket, 'data')
  return socket.pause()
}

function hostOf(length: number, n: number): string {
  return times(length, (index) => String.fromCodePoint(0x4e00 + ((index * 7 + n) % 20_000))).join('')
}

/** By how much this machine is slower at this moment than one that is quiet. */
function slowness(): number {
  const text = `[${'{},'.repeat(87_000)}1]`
  const spans = times(5, () => {
    const before = process.threadCpuUsage()
    JSON.parse(text)
    const { user, system } = process.threadCpuUsage(before)
    return (user + system) / 1_000
  })
  return Math.max(1, Math.max(...spans) / REFERENCE_MS)
}

describe('no request keeps the others waiting', () => {
  beforeEach(() => longestTurn())

  test.for(Object.entries(CASES))('%s', async ([, run]) => {
    const before = slowness()
    const { status, text } = await run()
    expect(status, text.slice(0, 1_000)).toBeLessThan(500)
    const longestMs = await longestTurn()
    expect(longestMs).toBeLessThan(LONGEST_TURN_MS * Math.max(before, slowness()))
    expect((await fetch(`${service.url}/livez`)).status).toBe(200)
  })
})

describe('what a request does not need is not read', () => {
  test.for([
    ['POST', '/api/documents/delete', filled('{"ids":[', `"${'x'.repeat(36)}",`, '""]}', MIB)],
    ['POST', '/api/documents/lookup', filled('{"urls":[', `"${'x'.repeat(2_048)}",`, '""]}', 13 * MIB)],
    ['PATCH', '/api/documents/x', filled('{"status":"', 'x', '"}', 2 * MIB)],
    ['PUT', '/api/queues/q', filled('{"deadLetter":"', 'x', '"}', MIB)],
    ['PUT', '/api/queues/q/hosts/h', filled('{"blockedUntil":"', 'x', '"}', MIB)],
    ['POST', '/api/queues/q/redrive', filled('{"limit":', '1', '}', MIB)],
    ['POST', '/api/queue', filled('{"operation":"peek","queue":"q","items":[', '{},', '1]}', 2 * MIB)],
    ['POST', '/api/queue', filled('{"operation":"pop","queue":"q","items":[', '{},', '1]}', 2 * MIB)],
  ] as const)('%s %s', async ([method, path, body]) => {
    expect(await send(method, path, body)).toMatchObject({ status: 413 })
  })

  test('a look-up of as many urls as it may have, all of them as long as they may be and written as escapes, is', async () => {
    const body = JSON.stringify({ urls: times(1_000, () => '%') }).replaceAll('%', '\\u0061'.repeat(2_048))
    expect((await send('POST', '/api/documents/lookup', body)).status).toBe(200)
  })
})
