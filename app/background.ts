import { setTimeout as delay } from 'node:timers/promises'

/** Something that works beside the requests; `start` may reject while the database is away. */
export type BackgroundWork = { start(): Promise<void>; stop(): Promise<void> }

type BackgroundLog = { warn(fields: object, message: string): void }

const FIRST_RETRY_MS = 500
const LAST_RETRY_MS = 5_000

/** Starts background work and tries again until that succeeds, so that the service may start before its database. */
export class Background {
  readonly #work: BackgroundWork
  readonly #log: BackgroundLog
  readonly #abort = new AbortController()
  #starting: Promise<void> | undefined
  #isRunning = false

  constructor(work: BackgroundWork, log: BackgroundLog) {
    this.#work = work
    this.#log = log
  }

  get isRunning(): boolean {
    return this.#isRunning
  }

  /** Begins to start; never rejects. */
  start(): void {
    this.#starting ??= this.#startUntilRunning()
  }

  /** Stops the work, or the attempts to start it. */
  async stop(): Promise<void> {
    this.#abort.abort()
    await this.#starting
    if (!this.#isRunning) return
    this.#isRunning = false
    await this.#work.stop()
  }

  async #startUntilRunning(): Promise<void> {
    for (let waitMs = FIRST_RETRY_MS; !this.#abort.signal.aborted; waitMs = Math.min(waitMs * 2, LAST_RETRY_MS)) {
      try {
        await this.#work.start()
        this.#isRunning = true
        return
      } catch (error) {
        this.#log.warn({ error, retryInMs: waitMs }, 'background work cannot start yet; it is tried again')
        await delay(waitMs, undefined, { signal: this.#abort.signal }).catch(() => undefined)
      }
    }
  }
}
