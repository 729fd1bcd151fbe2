import { BackgroundLoop, pause } from '../../background-loop.ts'
import type { Database, Statement } from '../../database.ts'
import type { StoreObserver } from '../../observer.ts'
import { type ChangeLag, readLag } from './lag.ts'
import { HORIZON, TIMELINE } from './state.ts'

export type ChangeUpkeepOptions = {
  database: Database
  observer: StoreObserver
  /** How long deletions are told. */
  keepDays: number
  /** Time between two rounds; default 5,000. */
  intervalMs?: number
  /** Time between two sweeps of old deletions; default 60,000. */
  sweepMs?: number
}

// What one statement removes, and how far one sweep looks for what is too old.
const BATCH = 10_000
const LOOK_ROWS = 100_000
const SECONDS_A_DAY = 86_400

// Writes only where something has changed since: a database at rest stays at rest.
const NOTE_TIMELINE: Statement = {
  name: 'documents_changes_note',
  text: `
INSERT INTO storage.change_timeline AS known (timeline, known_xid)
SELECT now_written.timeline, ${HORIZON}
FROM (SELECT ${TIMELINE} AS timeline) AS now_written
LEFT JOIN storage.change_timeline AS before ON before.timeline = now_written.timeline
WHERE EXISTS (SELECT FROM public.documents WHERE changed_xid >= COALESCE(before.known_xid, '0'))
  OR EXISTS (SELECT FROM storage.document_deletion WHERE changed_xid >= COALESCE(before.known_xid, '0'))
ON CONFLICT (timeline) DO UPDATE SET known_xid = EXCLUDED.known_xid, noted_at = now()
WHERE known.known_xid < EXCLUDED.known_xid`,
}

const REMOVE: Statement = {
  name: 'documents_changes_remove',
  text: `
DELETE FROM storage.document_deletion AS gone USING (
  SELECT old.changed_xid, old.id FROM storage.document_deletion AS old
  WHERE old.changed_xid <= (SELECT expired_xid FROM storage.change_feed)
  ORDER BY old.changed_xid, old.id LIMIT ${BATCH} FOR UPDATE SKIP LOCKED
) AS old WHERE gone.changed_xid = old.changed_xid AND gone.id = old.id`,
}

const EXPIRE: Statement = {
  name: 'documents_changes_expire',
  text: `
UPDATE storage.change_feed SET expired_xid = old.changed_xid
FROM (
  SELECT changed_xid FROM (
    SELECT changed_xid, deleted_at FROM storage.document_deletion
    WHERE changed_xid > (SELECT expired_xid FROM storage.change_feed) ORDER BY changed_xid, id LIMIT ${LOOK_ROWS}
  ) AS first WHERE deleted_at < now() - $1 * interval '1 second' AND changed_xid < ${HORIZON}
  ORDER BY changed_xid DESC LIMIT 1
) AS old
WHERE expired_xid < old.changed_xid`,
}

/**
 * Notes how far each timeline is known, takes away deletions that are old, and looks how long changes are held back. Any
 * number of replicas may do it.
 */
export class ChangeUpkeep {
  readonly #options: ChangeUpkeepOptions
  readonly #background = new BackgroundLoop((signal) => this.#loop(signal))
  #lag: ChangeLag = { seconds: 0, holder: undefined }
  #sweptAt = Number.NEGATIVE_INFINITY

  constructor(options: ChangeUpkeepOptions) {
    this.#options = options
  }

  /** What was held back at the last look. */
  get lag(): ChangeLag {
    return this.#lag
  }

  start(): void {
    this.#background.start()
  }

  stop(): Promise<void> {
    return this.#background.stop()
  }

  /** Notes how far the timeline is known, and looks what is held back. */
  async note(): Promise<void> {
    const { database } = this.#options
    await database.query(NOTE_TIMELINE)
    this.#lag = await readLag(database)
  }

  /**
   * Removes deletions that were declared too old by the sweep before, then declares more of them: a reader that was let in
   * before that has its answer by then. Answers how many were removed.
   */
  async sweep(): Promise<number> {
    const { database, keepDays } = this.#options
    let removed = 0
    for (let count = BATCH; count === BATCH && !this.#background.isStopping; removed += count) {
      count = (await database.query(REMOVE)).rowCount
    }
    await database.query(EXPIRE, [keepDays * SECONDS_A_DAY])
    return removed
  }

  async #loop(signal: AbortSignal): Promise<void> {
    const { intervalMs = 5_000, sweepMs = 60_000, observer } = this.#options
    while (!signal.aborted) {
      await pause(intervalMs, signal)
      if (signal.aborted) return
      const isDue = performance.now() - this.#sweptAt >= sweepMs
      if (isDue) this.#sweptAt = performance.now()
      await Promise.all([this.note(), isDue && this.sweep()]).catch((error) =>
        observer.backgroundError('changes', error),
      )
    }
  }
}
