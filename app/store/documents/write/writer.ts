import { Problem } from '../../../errors.ts'
import { itemError } from '../../check.ts'
import type { Database, Session, Statement } from '../../database.ts'
import { isDataError } from '../../database-errors.ts'
import type { Novelty } from './novelty.ts'
import {
  apartByClaim,
  type Group,
  groupByUrl,
  groupWithout,
  inUrlOrder,
  membersOf,
  rowOf,
  type Sent,
} from './repeats.ts'
import { Tally } from './tally.ts'
import { type EncodedRows, encodeRows, findUnchanged, insertRows, writeRows } from './write-statement.ts'

/** Where a write happens. Without `attempt` an error ends the transaction and with it the whole write. */
export type WriteScope = {
  session: Session
  /** Each statement commits by itself. */
  commitsEach: boolean
  /** Runs `work` so that its failure leaves the session fit for more. */
  attempt?: <T>(work: () => Promise<T>) => Promise<T>
}

/** Rows in one statement, and characters of their metadata: encoding them keeps all other requests waiting. */
const CHUNK_ROWS = 1_000
const CHUNK_LENGTH = 2 * 1_048_576
// Each time another transaction was faster; more than a few in a row is a very busy url.
const MAX_RACES = 20
const BUSY = 'Other requests kept changing this document; try again.'
const PRIMARY_KEY = 'documents_pkey'

const SAVEPOINT: Statement = { name: 'documents_savepoint', text: 'SAVEPOINT documents' }
const RELEASE: Statement = { name: 'documents_release', text: 'RELEASE SAVEPOINT documents' }
const UNDO: Statement = { name: 'documents_undo', text: 'ROLLBACK TO SAVEPOINT documents' }

/** Each statement is its own transaction. */
export function separately(database: Database): WriteScope {
  return { session: database, commitsEach: true, attempt: (work) => work() }
}

/** All statements are part of one transaction, which ends with the first error. */
export function together(session: Session): WriteScope {
  return { session, commitsEach: false }
}

/** Each statement is undone alone, by a savepoint: slower, for a second try after one of them has failed. */
export function withSavepoints(session: Session): WriteScope {
  return {
    session,
    commitsEach: false,
    attempt: async (work) => {
      await session.query(SAVEPOINT)
      try {
        const result = await work()
        await session.query(RELEASE)
        return result
      } catch (error) {
        await session.query(UNDO)
        throw error
      }
    },
  }
}

/**
 * Writes the documents of one request in chunks and counts them in `tally`. Documents of the same url are put together
 * first. Where each statement is its own transaction and some are done, what the database cannot take any more is the error
 * of the documents that are left; otherwise it is thrown. With a `novelty` it may insert without looking first, or look
 * first for what needs no write.
 */
export class DocumentWriter {
  readonly tally = new Tally()
  readonly #scope: WriteScope
  readonly #novelty: Novelty | undefined
  #problem: Problem | undefined

  constructor(scope: WriteScope, novelty?: Novelty) {
    this.#scope = scope
    this.#novelty = novelty
  }

  async write(sent: Sent[]): Promise<void> {
    const receivedAt = new Date().toISOString().replace('Z', '000Z')
    const { first, later } = apartByClaim(groupByUrl(sent, receivedAt))
    let pending = first
    let waiting = later
    for (let races = 0; pending.length > 0 || waiting.length > 0; ) {
      const before = this.tally.count
      const again = await this.#writeAll(pending)
      races = this.tally.count === before ? races + 1 : 0
      pending = inUrlOrder([...(races > MAX_RACES ? this.#giveUp(again, BUSY) : again), ...waiting])
      waiting = []
    }
  }

  async #writeAll(groups: Group[]): Promise<Group[]> {
    const again: Group[] = []
    for (let start = 0, end = 0; start < groups.length; start = end) {
      end = chunkEnd(groups, start)
      again.push(...(await this.#writeChunk(groups.slice(start, end))))
    }
    return again
  }

  /** Answers the groups that have to be written again. */
  async #writeChunk(groups: Group[]): Promise<Group[]> {
    const changed = this.#novelty?.isLow ? await this.#withoutUnchanged(groups) : groups
    if (changed.length === 0) return []
    const rows = encodeRows(changed.map(rowOf))
    if (this.#novelty?.isHigh && (await this.#insert(changed, rows))) return []
    const before = { added: this.tally.summary.inserted, untouched: this.tally.untouched }
    const again = await this.#judge(changed, rows)
    const added = this.tally.summary.inserted - before.added
    this.#novelty?.note(changed.length, { added, untouched: this.tally.untouched - before.untouched })
    return again
  }

  /** Counts those that need no write; answers the others. */
  async #withoutUnchanged(groups: Group[]): Promise<Group[]> {
    const verdicts = await this.#attempt((session) => findUnchanged(session, groups.map(rowOf)))
    if (verdicts instanceof Error) return groups
    const unchanged = groups.filter((_, n) => verdicts[n] === 'u')
    this.tally.addUntouched(unchanged)
    this.#novelty?.note(unchanged.length, { added: 0, untouched: unchanged.length })
    return groups.filter((_, n) => verdicts[n] !== 'u')
  }

  /** Whether all of them were new, and are stored now; otherwise nothing is. */
  async #insert(groups: Group[], rows: EncodedRows): Promise<boolean> {
    let newRows = 0
    try {
      const error = await this.#attempt((session) => insertRows(session, rows))
      if (error !== undefined) return false
      newRows = groups.length
      this.tally.addInserted(groups)
      return true
    } finally {
      this.#novelty?.note(groups.length, { added: newRows, untouched: 0 })
    }
  }

  async #judge(groups: Group[], rows: EncodedRows): Promise<Group[]> {
    const reply = await this.#attempt((session) => writeRows(session, rows))
    if (reply instanceof Problem) return this.#giveUp(groups, reply.message)
    if (!(reply instanceof Error)) return this.tally.add(groups, reply)
    if (groups.length === 1) return this.#refuse(groups[0] as Group, reply)
    // Bisection: one bad row costs twenty statements; a savepoint for each row would cost every request.
    const again: Group[] = []
    const middle = groups.length >> 1
    for (const half of [groups.slice(0, middle), groups.slice(middle)]) {
      again.push(...(await this.#judge(half, encodeRows(half.map(rowOf)))))
    }
    return again
  }

  async #attempt<T>(write: (session: Session) => Promise<T>): Promise<T | Error> {
    const { session, attempt, commitsEach } = this.#scope
    if (this.#problem !== undefined) return this.#problem
    if (attempt === undefined) return write(session)
    try {
      return await attempt(() => write(session))
    } catch (error) {
      if (error instanceof Error && isDataError(error)) return error
      if (!(error instanceof Problem) || !commitsEach || this.tally.stored === 0) throw error
      this.#problem = error
      return error
    }
  }

  /** A document that PostgreSQL turns down although it passed the checks. */
  #refuse(group: Group, error: Error): Group[] {
    // Another transaction has just stored the id: the next try sees it.
    if ((error as { constraint?: string }).constraint === PRIMARY_KEY) return [group]
    this.tally.fail([group], itemError('invalid_item', 'The database does not accept this document.'))
    const rest = groupWithout(group, (member) => member.index === group.index)
    return rest === undefined ? [] : [rest]
  }

  #giveUp(groups: Group[], reason: string): never[] {
    for (const group of groups) this.tally.fail(membersOf(group), itemError('unavailable', reason))
    return []
  }
}

/** Where the chunk that begins with a group ends. */
function chunkEnd(groups: Group[], start: number): number {
  const most = Math.min(groups.length, start + CHUNK_ROWS)
  let end = start
  for (let length = 0; end < most && length < CHUNK_LENGTH; end += 1) {
    length += (groups[end] as Group).document.content.metadata.length
  }
  return end
}
