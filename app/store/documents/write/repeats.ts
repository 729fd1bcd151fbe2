import type { CheckedDocument } from '../content/content.ts'

/** A checked document and its position in the request. */
export type Sent = { index: number; document: CheckedDocument }

/** All documents of one url in a request: the newest, which is written, and the others, newest first. */
export type Group = Sent & { others?: Sent[] }

/**
 * Puts the documents of each url together, in the order of the urls. The newest crawledAt comes first (an absent one is
 * `receivedAt`, UTC text); of several with the same, the one that was sent last.
 */
export function groupByUrl(sent: Sent[], receivedAt: string): Group[] {
  const sorted = inUrlOrder(sent)
  if (!sorted.some((one, n) => isSameUrl(one, sorted[n - 1]))) return sorted
  const groups: Group[] = []
  for (let start = 0; start < sorted.length; ) {
    let end = start + 1
    while (isSameUrl(sorted[start] as Sent, sorted[end])) end += 1
    groups.push(toGroup(newestFirst(sorted.slice(start, end), receivedAt)))
    start = end
  }
  return groups
}

/** Everybody in a group, newest first. */
export function membersOf(group: Group): Sent[] {
  return group.others === undefined ? [group] : [group, ...group.others]
}

/** The id that a group is stored under: the one that its newest member with an id brings. */
export function claimOf({ document, others }: Group): string | null {
  if (document.id !== null || others === undefined) return document.id
  return others.find((other) => other.document.id !== null)?.document.id ?? null
}

/** The group without some of its members; undefined where nobody is left. */
export function groupWithout(group: Group, isGone: (member: Sent) => boolean): Group | undefined {
  const rest = membersOf(group).filter((member) => !isGone(member))
  return rest.length === 0 ? undefined : toGroup(rest)
}

/** What is written for a group: its newest document, under the claimed id. */
export function rowOf(group: Group): CheckedDocument {
  const { document } = group
  const id = claimOf(group)
  return document.id === id ? document : { ...document, id }
}

/** In the order of their urls, which is the order that rows are locked in. */
export function inUrlOrder<T extends Sent>(sent: T[]): T[] {
  return sent.toSorted((a, b) => compare(a.document.url, b.document.url))
}

/** Takes the groups out that claim an id which another one claims that was sent before them. Both in the order of urls. */
export function apartByClaim(groups: Group[]): { first: Group[]; later: Group[] } {
  const later = new Set(repeatedClaims(groups))
  if (later.size === 0) return { first: groups, later: [] }
  return { first: groups.filter((group) => !later.has(group)), later: groups.filter((group) => later.has(group)) }
}

function repeatedClaims(groups: Group[]): Group[] {
  const claiming = groups.filter((group) => claimOf(group) !== null)
  const ids = new Set(claiming.map(claimOf))
  if (ids.size === claiming.length) return []
  const inOrderOfArrival = claiming.sort((a, b) => a.index - b.index)
  return inOrderOfArrival.filter((group) => !ids.delete(claimOf(group)))
}

function toGroup([newest, ...others]: Sent[]): Group {
  const { index, document } = newest as Sent
  return others.length === 0 ? { index, document } : { index, document, others }
}

function newestFirst(members: Sent[], receivedAt: string): Sent[] {
  const timeOf = ({ document }: Sent) => document.content.crawledAt ?? receivedAt
  return members.sort((a, b) => compare(timeOf(b), timeOf(a)) || b.index - a.index)
}

function isSameUrl(one: Sent, other: Sent | undefined): boolean {
  return one.document.url === other?.document.url
}

function compare(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}
