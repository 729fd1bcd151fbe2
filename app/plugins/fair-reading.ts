import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** No more of a body is handed on at once: it may come in chunks of a byte. */
const PIECE_BYTES = 8_192
/** Where no request is under way, or more than one: this may be 40 of them. */
const HEAD_BYTES = 1_024
/** Of one connection. More of them wait until these are answered. */
const MAX_REQUESTS = 8
const TURN_MS = 10

/** Shares each turn of the event loop among the connections that have something to be read. */
class Readers {
  readonly #waiting = new Set<FairReader>()
  /** When the first of this turn began. */
  #since: number | undefined

  /** Whether this turn has been used up. */
  get isOver(): boolean {
    if (this.#since !== undefined) return performance.now() - this.#since >= TURN_MS
    this.#since = performance.now()
    setImmediate(() => this.#nextTurn())
    return false
  }

  /** Calls `reader.go()` in a later turn, behind those that wait already. */
  add(reader: FairReader): void {
    this.#waiting.add(reader)
  }

  #nextTurn(): void {
    this.#since = undefined
    for (const reader of this.#waiting) {
      if (this.isOver) return
      this.#waiting.delete(reader)
      reader.go()
    }
  }
}

const readers = new Readers()

/** Hands what a connection sends to whoever reads it in small pieces, as the turns of the event loop allow. */
class FairReader {
  readonly #socket: Socket
  readonly #push: Socket['push']
  /** What has come and was not handed on; null is the end. */
  #pending: (Buffer | null)[] = []
  #requests = 0

  constructor(socket: Socket) {
    this.#socket = socket
    this.#push = socket.push
    const read = socket._read
    socket.push = (chunk: Buffer | null) => this.#take(chunk)
    // Nothing more is asked for before all of it was handed on.
    socket._read = (size) => (this.#pending.length > 0 ? undefined : read.call(socket, size))
    socket.on('resume', () => this.go())
    socket.once('close', () => {
      this.#pending = []
    })
  }

  /** A request of this connection is under way until its answer has ended. */
  begin(response: ServerResponse): void {
    this.#requests += 1
    response.once('close', () => {
      this.#requests -= 1
      this.go()
    })
  }

  /** Hands on what has come, for as long as somebody wants it and the turn is not over. */
  go(): void {
    // To whom the last word was said, nobody listens any more.
    if (this.#socket.writableEnded) this.#pending = this.#pending.filter((chunk) => chunk === null)
    while (this.#pending.length > 0 && this.#requests <= MAX_REQUESTS && !this.#socket.isPaused()) {
      if (readers.isOver) {
        readers.add(this)
        return
      }
      this.#push.call(this.#socket, this.#next())
    }
  }

  /** Answers whether more is wanted now, as `push` does. */
  #take(chunk: Buffer | null): boolean {
    this.#pending.push(chunk)
    this.go()
    return this.#pending.length === 0 && !this.#socket.isPaused()
  }

  #next(): Buffer | null {
    const [first = null] = this.#pending
    const bytes = this.#requests === 1 ? PIECE_BYTES : HEAD_BYTES
    if (first === null || first.length <= bytes) this.#pending.shift()
    else this.#pending[0] = first.subarray(bytes)
    return first?.subarray(0, bytes) ?? null
  }
}

/**
 * Reads all connections of a server in small pieces, and never for long in one turn of the event loop. Node.js itself handles
 * all that one read of a connection brings in one turn, which may be thousands of requests or of chunks.
 */
export function readFairly(server: Server): void {
  const open = new WeakMap<Socket, FairReader>()
  server.on('connection', (socket: Socket) => {
    open.set(socket, new FairReader(socket))
    // Its parser reads a connection past its stream, unless somebody else listens.
    socket.on('data', () => undefined)
  })
  server.prependListener('request', ({ socket }: IncomingMessage, response: ServerResponse) =>
    open.get(socket)?.begin(response),
  )
}
