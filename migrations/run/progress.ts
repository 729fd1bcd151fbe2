import type pg from 'pg'
import { connect, type WorkSession } from '../database/session.ts'

const INTERVAL_MS = 2_000

type Row = { phase: string; done: string; total: string; locker: number | null }

/** Tells how far the index build of a session is, every two seconds, from a connection of its own. It never fails a build. */
export class BuildProgress {
  readonly #session: WorkSession
  readonly #index: string
  readonly #timer: NodeJS.Timeout
  #client: Promise<pg.Client> | undefined
  #asking: Promise<void> = Promise.resolve()
  #lastSaid = ''

  constructor(session: WorkSession, index: string) {
    this.#session = session
    this.#index = index
    this.#timer = setInterval(() => {
      this.#asking = this.#asking.then(() => this.#ask()).catch(() => undefined)
    }, INTERVAL_MS)
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    await this.#asking
    await this.#client?.then((client) => client.end()).catch(() => undefined)
  }

  async #ask(): Promise<void> {
    this.#client ??= connect(this.#session.databaseUrl)
    const { rows } = await (await this.#client).query<Row>(
      `SELECT phase, greatest(blocks_done, tuples_done) AS done, greatest(blocks_total, tuples_total) AS total,
         nullif(current_locker_pid, 0)::integer AS locker FROM pg_stat_progress_create_index WHERE pid = $1`,
      [this.#session.pid],
    )
    const [row] = rows
    if (!row) return
    const line = describe(this.#index, row)
    if (line !== this.#lastSaid) this.#session.log(line)
    this.#lastSaid = line
  }
}

function describe(index: string, { phase, done, total, locker }: Row): string {
  const share = Number(total) > 0 ? `, ${Math.floor((100 * Number(done)) / Number(total))} %` : ''
  const waiting = locker === null ? '' : `, waits for the transaction of pid ${locker}`
  return `building ${index}: ${phase}${share}${waiting}`
}
