import type { Database, Statement } from '../../database.ts'
import { isEarlier, type Xid } from './cursor.ts'
import { HORIZON } from './state.ts'

const POLL_MS = 100

/** The newest transaction whose changes are shown; null where there is none. */
const NEWEST: Statement = {
  name: 'documents_changes_newest',
  text: `
SELECT GREATEST(
  (SELECT changed_xid FROM public.documents WHERE changed_xid < ${HORIZON} ORDER BY changed_xid DESC LIMIT 1),
  (SELECT changed_xid FROM storage.document_deletion WHERE changed_xid < ${HORIZON} ORDER BY changed_xid DESC LIMIT 1)
)::text AS newest`,
}

type Waiting = { after: Xid; wake: (newest: Xid) => void }

/** How long to wait, and whom for. */
export type Patience = { deadlineMs: number; signal: AbortSignal }

/**
 * Readers that wait for a change. While there are any, one small query asks ten times a second for all of them: a
 * notification of each write would cost every writer the lock that NOTIFY takes at its commit.
 */
export class ChangeWatch {
  readonly #database: Database
  readonly #waiting = new Set<Waiting>()
  #timer: NodeJS.Timeout | undefined

  constructor(database: Database) {
    this.#database = database
  }

  /** How many wait. */
  get waiting(): number {
    return this.#waiting.size
  }

  /**
   * Resolves with the newest transaction that is shown when that is later than `after`; at the deadline (of `performance.now()`),
   * after an abort, or where the database does not answer, with `after`.
   */
  async wait(after: Xid, { deadlineMs, signal }: Patience): Promise<Xid> {
    if (signal.aborted) return after
    const { promise, resolve } = Promise.withResolvers<Xid>()
    const waiting = { after, wake: resolve }
    const giveUp = () => resolve(after)
    const timer = setTimeout(giveUp, Math.max(0, deadlineMs - performance.now()))
    signal.addEventListener('abort', giveUp)
    this.#waiting.add(waiting)
    this.#timer ??= setTimeout(() => this.#look(), POLL_MS)
    try {
      return await promise
    } finally {
      clearTimeout(timer)
      signal.removeEventListener('abort', giveUp)
      this.#waiting.delete(waiting)
      if (this.#waiting.size === 0) this.#rest()
    }
  }

  #rest(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  async #look(): Promise<void> {
    try {
      const { rows } = await this.#database.query<{ newest: Xid | null }>(NEWEST)
      const newest = rows[0]?.newest
      for (const { after, wake } of this.#waiting) if (newest && isEarlier(after, newest)) wake(newest)
    } catch {
      // Whoever waits reads again, and is told what is wrong.
      for (const { after, wake } of this.#waiting) wake(after)
    }
    if (this.#timer !== undefined) this.#timer = setTimeout(() => this.#look(), POLL_MS)
  }
}
