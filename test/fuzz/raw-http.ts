import { connect } from 'node:net'
import { gunzipSync } from 'node:zlib'

/** A request as it is written: nothing of it has to be valid HTTP. */
export type RawRequest = { method: string; target: string; headers: [string, string][]; body: Buffer }

/** `isComplete` is false while a body that says how long it is has not all come. */
export type RawAnswer = { status: number; headers: Record<string, string>; body: string; isComplete: boolean }

/** Longer than any silence that the service allows itself or its caller. */
const TIMEOUT_MS = 90_000

export function toBytes({ method, target, headers, body }: RawRequest): Buffer {
  const head = [`${method} ${target} HTTP/1.1`, ...headers.map(([name, value]) => `${name}: ${value}`), '', '']
  return Buffer.concat([Buffer.from(head.join('\r\n'), 'latin1'), body])
}

/** Sends a request and reads its answer; undefined where the connection ends without one. Throws when nothing comes. */
export async function exchange(
  port: number,
  bytes: Buffer,
  options: { isHead: boolean },
): Promise<RawAnswer | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<RawAnswer | undefined>()
  let received: Buffer = Buffer.alloc(0)
  const socket = connect(port, '127.0.0.1')
  socket.setTimeout(TIMEOUT_MS, () => socket.destroy(new Error(`Nothing was answered for ${TIMEOUT_MS} ms.`)))
  socket.on('data', (chunk) => {
    received = Buffer.concat([received, chunk])
    const answer = parseAnswer(received)
    if (answer && (options.isHead || answer.isComplete)) socket.destroy()
  })
  socket.on('close', () => resolve(parseAnswer(received)))
  // An answer that comes before the body was read may be followed by a reset.
  socket.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'ECONNRESET' && error.code !== 'EPIPE') reject(error)
  })
  socket.write(bytes)
  return promise
}

/** Sends bytes, then nothing more, and waits until the other side ends. */
export async function shout(port: number, bytes: Buffer): Promise<RawAnswer | undefined> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const chunks: Buffer[] = []
  socket.setTimeout(TIMEOUT_MS, () => reject(new Error(`The connection stays open for ${TIMEOUT_MS} ms.`)))
  socket.on('data', (chunk) => chunks.push(chunk))
  socket.on('end', () => socket.end())
  socket.on('error', () => undefined)
  socket.on('close', () => resolve())
  socket.end(bytes)
  await promise.finally(() => socket.destroy())
  return parseAnswer(Buffer.concat(chunks))
}

/** Reads the first answer that is not of the 1xx; undefined where there is none yet. */
function parseAnswer(bytes: Buffer): RawAnswer | undefined {
  const text = bytes.toString('latin1')
  const start = text.search(/HTTP\/1\.1 [2-5]/)
  const end = text.indexOf('\r\n\r\n', start)
  if (start < 0 || end < 0) return undefined
  const [statusLine = '', ...lines] = text.slice(start, end).split('\r\n')
  const headers = Object.fromEntries(lines.map((line) => split(line)))
  const status = Number(statusLine.split(' ')[1])
  return { status, headers, ...readBody(bytes.subarray(end + 4), headers, status) }
}

function readBody(
  bytes: Buffer,
  headers: Record<string, string>,
  status: number,
): { body: string; isComplete: boolean } {
  const isChunked = headers['transfer-encoding'] === 'chunked'
  const length = status === 204 || status === 304 ? 0 : Number(headers['content-length'] ?? Number.POSITIVE_INFINITY)
  const isComplete = isChunked ? bytes.toString('latin1').endsWith('0\r\n\r\n') : bytes.length >= length
  const body = isChunked ? unchunk(bytes) : bytes
  const isGzip = isComplete && headers['content-encoding'] === 'gzip' && body.length > 0
  return { body: (isGzip ? gunzipSync(body) : body).toString(), isComplete }
}

function split(line: string): [string, string] {
  const colon = line.indexOf(':')
  return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]
}

function unchunk(bytes: Buffer): Buffer {
  const chunks: Buffer[] = []
  for (let at = 0; at < bytes.length; ) {
    const lineEnd = bytes.indexOf('\r\n', at)
    const size = Number.parseInt(bytes.toString('latin1', at, lineEnd), 16)
    if (lineEnd < 0 || !(size > 0)) break
    chunks.push(bytes.subarray(lineEnd + 2, lineEnd + 2 + size))
    at = lineEnd + 2 + size + 2
  }
  return Buffer.concat(chunks)
}
