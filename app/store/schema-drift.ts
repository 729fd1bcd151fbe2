import { describeDifference, readDrift } from '../../migrations/schema/fingerprint.ts'
import { BackgroundLoop, pause } from './background-loop.ts'
import type { Database } from './database.ts'
import type { StoreObserver } from './observer.ts'

/** Whether the schema is as this release was tested with it. `unknown`: not looked at yet, or of another release. */
export type SchemaDriftState = {
  drift: 'ok' | 'drifted' | 'unknown'
  /** Object by object what differs, the first ten. */
  differences: string[]
}

const TASK = 'schema drift'
const SHOWN = 10
const RETRY_MS = 10_000

/** Compares the database's catalogue with the committed schema, now and then. */
export class SchemaDrift {
  readonly #database: Database
  readonly #observer: StoreObserver
  readonly #intervalMs: number
  #state: SchemaDriftState = { drift: 'unknown', differences: [] }
  readonly #background = new BackgroundLoop((signal) => this.#loop(signal))

  constructor(options: { database: Database; observer: StoreObserver; intervalMs: number }) {
    this.#database = options.database
    this.#observer = options.observer
    this.#intervalMs = options.intervalMs
  }

  /** What the last look found. */
  current(): SchemaDriftState {
    return this.#state
  }

  /** Begins to look in the background. */
  start(): void {
    this.#background.start()
  }

  /** Ends after the look under way. */
  stop(): Promise<void> {
    return this.#background.stop()
  }

  /** One look; throws where the database cannot be asked. */
  async check(): Promise<SchemaDriftState> {
    const query = async <R>(text: string) => (await this.#database.query<R>({ text })).rows
    const { state, differences } = await readDrift((text) => query(text))
    this.#state = { drift: state, differences: differences.slice(0, SHOWN).map(describeDifference) }
    return this.#state
  }

  async #loop(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      // While the schema is of another release it will change soon.
      const waitMs = (await this.#checkQuietly()) ? this.#intervalMs : Math.min(RETRY_MS, this.#intervalMs)
      await pause(waitMs, signal)
    }
  }

  /** Answers whether there was something to compare with. */
  async #checkQuietly(): Promise<boolean> {
    try {
      return (await this.check()).drift !== 'unknown'
    } catch (error) {
      this.#state = { drift: 'unknown', differences: [] }
      this.#observer.backgroundError(TASK, error)
      return false
    }
  }
}
