/** A very small HTTP/1.1 client over one kept-alive socket, so that the load costs little and the same for both sides. */
import { connect, type Socket } from 'node:net'

/** An answer; `body` is valid JSON in UTF-8. */
export type Reply = { status: number; body: Buffer }

type Waiting = { resolve: (reply: Reply) => void; reject: (error: Error) => void }

const HEADER_END = '\r\n\r\n'
const CONTENT_LENGTH = /\r\ncontent-length: *(\d+)/i

/** A request as it goes over the wire. */
export function requestBytes(method: string, path: string, body?: unknown): Buffer {
  const head = `${method} ${path} HTTP/1.1\r\nHost: localhost\r\n`
  if (body === undefined) return Buffer.from(`${head}\r\n`)
  const text = Buffer.from(JSON.stringify(body))
  return Buffer.concat([
    Buffer.from(`${head}Content-Type: application/json\r\nContent-Length: ${text.length}\r\n\r\n`),
    text,
  ])
}

/** One connection with at most one request under way. Answers without a Content-Length are refused, but for 204. */
export class Connection {
  readonly #socket: Socket
  #waiting: Waiting | undefined
  #parts: Buffer[] = []
  #bytes = 0
  #bytesWanted = 0

  static async open(port: number): Promise<Connection> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('error', reject)
    })
    return new Connection(socket)
  }

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', (data: Buffer) => this.#receive(data))
    socket.on('error', (error) => this.#fail(error))
    socket.on('close', () => this.#fail(new Error('The server closed the connection.')))
  }

  /** Sends a whole request; rejects for any answer of 400 and above. */
  send(request: Buffer): Promise<Reply> {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject }
      this.#socket.write(request)
    })
  }

  close(): void {
    this.#waiting = undefined
    this.#socket.destroy()
  }

  #receive(data: Buffer): void {
    this.#parts.push(data)
    this.#bytes += data.length
    if (this.#bytes < this.#bytesWanted) return
    const all = this.#parts.length === 1 ? data : Buffer.concat(this.#parts)
    this.#parts = [all]
    const headerEnd = all.indexOf(HEADER_END)
    if (headerEnd < 0) return
    const header = all.toString('latin1', 0, headerEnd)
    const bodyStart = headerEnd + HEADER_END.length
    this.#bytesWanted = bodyStart + bodyLength(header)
    if (this.#bytes >= this.#bytesWanted) this.#finish(Number(header.slice(9, 12)), all.subarray(bodyStart))
  }

  #finish(status: number, body: Buffer): void {
    const waiting = this.#waiting
    this.#waiting = undefined
    this.#parts = []
    this.#bytes = 0
    this.#bytesWanted = 0
    if (status < 400) waiting?.resolve({ status, body })
    else waiting?.reject(new Error(`HTTP ${status}: ${body.toString('utf8').slice(0, 500)}`))
  }

  #fail(error: Error): void {
    this.#waiting?.reject(error)
    this.#waiting = undefined
  }
}

function bodyLength(header: string): number {
  if (header.startsWith('HTTP/1.1 204')) return 0
  const length = CONTENT_LENGTH.exec(header)?.[1]
  if (length === undefined) throw new Error(`An answer without Content-Length: ${header}`)
  return Number(length)
}

/** Opens `count` connections. */
export function openConnections(port: number, count: number): Promise<Connection[]> {
  return Promise.all(Array.from({ length: count }, () => Connection.open(port)))
}
