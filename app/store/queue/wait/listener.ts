import { once } from 'node:events'
import { BackgroundLoop, pause } from '../../background-loop.ts'
import { Connection } from '../../connection/connection.ts'
import type { StoreObserver } from '../../observer.ts'

export type QueueListenerOptions = {
  /** A direct connection: no pooler keeps LISTEN alive. */
  url: string
  observer: StoreObserver
  /** An item of the queue became available somewhere. */
  onQueue: (queue: string) => void
  /** Listening has begun, at first or again: notifications may have been lost before. */
  onListening: () => void
  /** First and longest wait before connecting anew; default 250 and 5,000. */
  retryMs?: { first: number; longest: number }
  /** How often the connection is tried; default 5,000. */
  checkMs?: number
}

const LIMIT = { timeoutMs: 3_000, graceMs: 0 }
const KEEP_ALIVE_DELAY_MS = 10_000

const POOLER_RETRY_MS = 60_000

/** A LISTEN through a pooler would stay on a connection that others use, and hear nothing. */
class PoolerError extends Error {
  constructor() {
    super('DATABASE_URL is a pooler and there is no DATABASE_DIRECT_URL: long polls ask once a second.')
  }
}

/**
 * Hears of items that other replicas make available (`LISTEN storage_queue`), on a connection of its own that is made anew
 * whenever it breaks. Never throws; without it long polls fall back to polling.
 */
export class QueueListener {
  readonly #options: QueueListenerOptions
  readonly #background = new BackgroundLoop((signal) => this.#loop(signal))

  constructor(options: QueueListenerOptions) {
    this.#options = options
  }

  /** Begins to listen in the background. */
  start(): void {
    this.#background.start()
  }

  /** Ends the connection. */
  stop(): Promise<void> {
    return this.#background.stop()
  }

  async #loop(signal: AbortSignal): Promise<void> {
    const { observer, retryMs = { first: 250, longest: 5_000 } } = this.#options
    let waitMs = retryMs.first
    let isPooled = false
    while (!signal.aborted) {
      try {
        await this.#listen(signal, () => {
          waitMs = retryMs.first
        })
      } catch (error) {
        if (!signal.aborted && !isPooled) observer.backgroundError('queue listener', error)
        isPooled = error instanceof PoolerError
        if (isPooled) waitMs = POOLER_RETRY_MS
      }
      // Replicas that lost the same server do not come back in the same moment.
      await pause(waitMs * (0.5 + Math.random()), signal)
      waitMs = Math.min(waitMs * 2, retryMs.longest)
    }
  }

  /** Rejects when the connection breaks or the listener is stopped. */
  async #listen(signal: AbortSignal, onListening: () => void): Promise<void> {
    const ended = new AbortController()
    const client = this.#client(ended)
    const stopped = AbortSignal.any([signal, ended.signal])
    const broken = once(stopped, 'abort').then(() => Promise.reject(ended.signal.reason ?? new Error('Stopped.')))
    // It may break while nobody waits for that.
    broken.catch(() => undefined)
    try {
      await Promise.race([client.connect(), broken])
      const state = await Promise.race([client.look(LIMIT), broken])
      if (!client.isDirect(state)) throw new PoolerError()
      await Promise.race([client.run('LISTEN storage_queue', LIMIT), broken])
      onListening()
      this.#options.onListening()
      await Promise.race([this.#check(client, stopped), broken])
    } finally {
      ended.abort()
      await client.leave()
    }
  }

  #client(ended: AbortController): Connection {
    const client = new Connection({
      connectionString: this.#options.url,
      connectionTimeoutMillis: LIMIT.timeoutMs,
      keepAlive: true,
      keepAliveInitialDelayMillis: KEEP_ALIVE_DELAY_MS,
      application_name: 'sonoma-storage-listen',
    })
    client.on('error', (error) => ended.abort(error))
    client.on('end', () => ended.abort(new Error('The connection that listens for queues has ended.')))
    client.on('notification', ({ payload }) => payload && this.#options.onQueue(payload))
    return client
  }

  /** Asks for something now and then: a peer that vanished says nothing. Rejects with the reason once `stopped` aborts. */
  async #check(client: Connection, stopped: AbortSignal): Promise<never> {
    while (!stopped.aborted) {
      await pause(this.#options.checkMs ?? 5_000, stopped)
      if (!stopped.aborted) await client.look(LIMIT)
    }
    // Not by returning: it may be noticed here before it is noticed in `broken`, and a connection that broke is to be reported.
    throw stopped.reason
  }
}
