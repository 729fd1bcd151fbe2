import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import { BackgroundLoop } from '../background-loop.ts'
import type { StoreObserver } from '../observer.ts'

export type QueueListenerOptions = {
  /** A direct connection: no pooler keeps LISTEN alive. */
  url: string
  observer: StoreObserver
  /** An item of the queue became available somewhere. */
  onQueue: (queue: string) => void
  /** Listening has begun, at first or again: notifications may have been lost before. */
  onListening: () => void
  /** First and longest wait before connecting anew; default 250 and 10,000. */
  retryMs?: { first: number; longest: number }
  /** How often the connection is tried; default 30,000. */
  checkMs?: number
}

const CONNECT_TIMEOUT_MS = 10_000
const END_TIMEOUT_MS = 1_000

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
    const { observer, retryMs = { first: 250, longest: 10_000 } } = this.#options
    let waitMs = retryMs.first
    while (!signal.aborted) {
      try {
        await this.#listen(signal, () => {
          waitMs = retryMs.first
        })
      } catch (error) {
        if (!signal.aborted) observer.backgroundError('queue listener', error)
      }
      // Replicas that lost the same server do not come back in the same moment.
      await delay(waitMs * (0.5 + Math.random()), undefined, { signal }).catch(() => undefined)
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
      await Promise.race([client.query('LISTEN storage_queue'), broken])
      onListening()
      this.#options.onListening()
      await Promise.race([this.#check(client, stopped), broken])
    } finally {
      ended.abort()
      await Promise.race([client.end().catch(() => undefined), delay(END_TIMEOUT_MS, undefined, { ref: false })])
    }
  }

  #client(ended: AbortController): pg.Client {
    const client = new pg.Client({
      connectionString: this.#options.url,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      query_timeout: CONNECT_TIMEOUT_MS,
      keepAlive: true,
      application_name: 'sonoma-storage-listen',
    })
    client.on('error', (error) => ended.abort(error))
    client.on('end', () => ended.abort(new Error('The connection that listens for queues has ended.')))
    client.on('notification', ({ payload }) => payload && this.#options.onQueue(payload))
    return client
  }

  /** Asks for something now and then: a peer that vanished says nothing. */
  async #check(client: pg.Client, stopped: AbortSignal): Promise<void> {
    while (!stopped.aborted) {
      await delay(this.#options.checkMs ?? 30_000, undefined, { signal: stopped }).catch(() => undefined)
      if (!stopped.aborted) await client.query('SELECT 1')
    }
  }
}
