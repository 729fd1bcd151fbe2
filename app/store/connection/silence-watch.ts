import type { Connection } from './connection.ts'

export type SilenceWatchOptions = {
  /** Connections that are in use. */
  lent: ReadonlySet<Connection>
  /** Looks at the server on a connection of its own; rejects where there is no answer in time. */
  look: () => Promise<void>
  /** The server is silent: what was opened before that time (of `performance.now()`) will hear nothing. */
  onSilence: (before: number, error: unknown) => void
}

const TICK_MS = 1_000
const SILENT_MS = 5_000

/**
 * Notices a server that has stopped to answer although its connections stand. A slow statement alone is no sign of that:
 * only when one has run for 5 s and nothing was heard on any connection meanwhile, the server is looked at from outside.
 */
export class SilenceWatch {
  readonly #options: SilenceWatchOptions
  readonly #bytes = new WeakMap<Connection, number>()
  #timer: NodeJS.Timeout | undefined
  #heardAt = performance.now()
  #isLooking = false

  constructor(options: SilenceWatchOptions) {
    this.#options = options
  }

  /** To be called when a connection is lent: the watch sleeps while none is. */
  wake(): void {
    if (this.#timer !== undefined) return
    this.#timer = setInterval(() => this.#tick(), TICK_MS)
    this.#timer.unref()
  }

  /** To be called when a connection comes back: what it has heard last. */
  note(heardAt: number): void {
    if (heardAt > this.#heardAt) this.#heardAt = heardAt
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  #tick(): void {
    const { lent } = this.#options
    if (lent.size === 0) this.stop()
    // After a stall of this process, what has arrived meanwhile is read first.
    else setImmediate(() => this.#judge())
  }

  #judge(): void {
    this.#listen()
    if (this.#isWaiting(performance.now())) void this.#look()
  }

  /** Some answers take long to arrive: bytes are a sign of life as well. */
  #listen(): void {
    for (const connection of this.#options.lent) {
      this.note(connection.heardAt)
      const { bytesRead } = connection
      if (bytesRead !== (this.#bytes.get(connection) ?? 0)) this.#heardAt = performance.now()
      this.#bytes.set(connection, bytesRead)
    }
  }

  #isWaiting(now: number): boolean {
    if (now - this.#heardAt < SILENT_MS) return false
    return [...this.#options.lent].some(({ sentAt }) => sentAt !== undefined && now - sentAt >= SILENT_MS)
  }

  async #look(): Promise<void> {
    if (this.#isLooking) return
    this.#isLooking = true
    const startedAt = performance.now()
    try {
      await this.#options.look()
      this.#heardAt = performance.now()
    } catch (error) {
      this.#listen()
      if (this.#heardAt < startedAt) this.#options.onSilence(startedAt, error)
    } finally {
      this.#isLooking = false
    }
  }
}
