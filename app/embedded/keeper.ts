import { setTimeout as delay } from 'node:timers/promises'
import { EmbeddedPostgres } from './embedded-postgres.ts'

const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 10_000
/** A server that ran as long as this is taken for healthy: its next restart is a quick one again. */
const HEALTHY_MS = 60_000

/** An embedded server that is started again whenever it ends by itself, after pauses of 0.1 s to 10 s. */
export class PostgresKeeper {
  readonly server: EmbeddedPostgres
  readonly #log: (line: string) => void
  readonly #stopping = new AbortController()
  #pauseMs = FIRST_PAUSE_MS
  #startedAt = 0
  #restarting: Promise<void> | undefined

  constructor(folder: string, log: (line: string) => void) {
    this.#log = log
    this.server = new EmbeddedPostgres({
      folder,
      log,
      onDeath: (reason) => {
        this.#restarting = this.#restart(reason)
      },
    })
  }

  /** The first start; its failure is the caller's, unlike that of a restart. Throws as `EmbeddedPostgres.start`. */
  async start(): Promise<void> {
    await this.server.start()
    this.#startedAt = performance.now()
  }

  /** Stops the server for good; nothing committed needs a recovery. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.server.stop()
    await this.#restarting
  }

  /** Stops the server for good and without any delay. */
  async stopAtOnce(): Promise<void> {
    this.#stopping.abort()
    await this.server.stopAtOnce()
  }

  async #restart(death: string): Promise<void> {
    if (performance.now() - this.#startedAt > HEALTHY_MS) this.#pauseMs = FIRST_PAUSE_MS
    for (let reason = death; !this.#stopping.signal.aborted; ) {
      this.#log(`PostgreSQL ended by itself (${reason}). It is started again in ${this.#pauseMs / 1000} s.`)
      await delay(this.#pauseMs, undefined, { signal: this.#stopping.signal }).catch(() => undefined)
      if (this.#stopping.signal.aborted) return
      this.#pauseMs = Math.min(this.#pauseMs * 2, LONGEST_PAUSE_MS)
      try {
        await this.start()
        this.#log('PostgreSQL runs again.')
        return
      } catch (error) {
        reason = (error as Error).message
      }
    }
  }
}
