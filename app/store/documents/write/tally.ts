import type { ItemError } from '../../../errors.ts'
import { itemError } from '../../check.ts'
import { claimOf, type Group, groupWithout, membersOf, type Sent } from './repeats.ts'
import type { Verdict, WriteReply } from './write-statement.ts'

/** How many documents ended how; all of these count as stored. */
export type Summary = { inserted: number; updated: number; unchanged: number; stale: number; duplicate: number }

/** What is wrong with the document at a position of the request. */
export type Failure = { index: number; error: ItemError }

/** Counts what became of the documents of one request, and says which of them have to be tried again. */
export class Tally {
  readonly summary: Summary = { inserted: 0, updated: 0, unchanged: 0, stale: 0, duplicate: 0 }
  readonly failures: Failure[] = []
  /** Those of the unchanged ones that needed no write at all. */
  untouched = 0

  /** Documents that counted as stored so far. */
  get stored(): number {
    const { inserted, updated, unchanged, stale, duplicate } = this.summary
    return inserted + updated + unchanged + stale + duplicate
  }

  /** Documents whose end is known. */
  get count(): number {
    return this.stored + this.failures.length
  }

  fail(members: Sent[], error: ItemError): void {
    for (const { index } of members) this.failures.push({ index, error })
  }

  /** Takes in what a write answered for these groups. Answers the groups that have to be written again. */
  add(groups: Group[], reply: WriteReply): Group[] {
    const { verdicts, missed } = reply
    this.summary.inserted += Number(reply.inserted)
    this.summary.updated += Number(reply.updated)
    this.summary.unchanged += Number(reply.noted)
    const again: Group[] = []
    const missedRows = new Set(missed)
    const storedIds = (reply.stored_ids ?? []).values()
    for (let n = 0; n < groups.length; n += 1) {
      const group = groups[n] as Group
      const rest = missedRows.has(n + 1) ? group : this.#settle(group, verdicts[n] as Verdict, storedIds)
      if (rest !== undefined) again.push(rest)
    }
    return again
  }

  /** All of these were new and are stored. */
  addInserted(groups: Group[]): void {
    this.summary.inserted += groups.length
    for (const group of groups) this.#settleOthers(group)
  }

  /** All of these are stored just as they came. */
  addUntouched(groups: Group[]): void {
    this.#countUntouched(groups.length)
    for (const group of groups) this.#settleOthers(group)
  }

  #countUntouched(count: number): void {
    this.summary.unchanged += count
    this.untouched += count
  }

  #settle(group: Group, verdict: Verdict, storedIds: Iterator<string>): Group | undefined {
    if (verdict === 'c') return this.#refuseIds(group, urlConflict(storedIds.next().value as string))
    if (verdict === 'k') return this.#refuseClaim(group)
    if (verdict === 'u') this.#countUntouched(1)
    if (verdict === 's') this.summary.stale += 1
    this.#settleOthers(group)
    return undefined
  }

  /** The newest is stored now. */
  #settleOthers(group: Group): void {
    if (group.others === undefined) return
    const claim = claimOf(group)
    for (const other of group.others) {
      const { id } = other.document
      if (id === null || id === claim) this.summary.duplicate += 1
      else this.fail([other], urlConflict(claim as string))
    }
  }

  /** The url is stored with another id: whoever brings any other one fails, the rest is written under that id. */
  #refuseIds(group: Group, error: ItemError): Group | undefined {
    const isRefused = ({ document: { id } }: Sent) => id !== null && id !== error.storedId
    this.fail(membersOf(group).filter(isRefused), error)
    return groupWithout(group, isRefused)
  }

  #refuseClaim(group: Group): Group | undefined {
    const claim = claimOf(group)
    const isRefused = ({ document }: Sent) => document.id === claim
    const error = itemError('id_conflict', `The id ${claim} is that of a document with another url.`)
    this.fail(membersOf(group).filter(isRefused), error)
    return groupWithout(group, isRefused)
  }
}

function urlConflict(storedId: string): ItemError {
  return { ...itemError('url_conflict', `The url is stored with the id ${storedId}.`), storedId }
}
