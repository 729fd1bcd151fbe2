import type { CheckedDocument } from './content.ts'

/** A checked document and its position in the request. */
export type Sent = { index: number; document: CheckedDocument }

/** All documents of one url in a request, the newest first: that one is written, under the id that any of them brings. */
export type Group = { members: Sent[]; claimedId: string | null }

/**
 * Puts the documents of each url together. The newest crawledAt comes first (an absent one is `receivedAt`, UTC text); of
 * several with the same, the one that was sent last.
 */
export function groupByUrl(sent: Sent[], receivedAt: string): Group[] {
  const groups = new Map<string, Group>()
  for (const one of sent) {
    const group = groups.get(one.document.url)
    if (group === undefined) groups.set(one.document.url, { members: [one], claimedId: one.document.id })
    else group.members.push(one)
  }
  if (groups.size < sent.length) {
    for (const group of groups.values()) if (group.members.length > 1) arrange(group, receivedAt)
  }
  return [...groups.values()]
}

/** The group without some of its members; undefined where nobody is left. */
export function groupWithout(group: Group, isGone: (member: Sent) => boolean): Group | undefined {
  const members = group.members.filter((member) => !isGone(member))
  return members.length === 0 ? undefined : { members, claimedId: firstId(members) }
}

/** What is written for a group: the newest document, under the claimed id. */
export function rowOf({ members, claimedId }: Group): CheckedDocument {
  const { document } = members[0] as Sent
  return document.id === claimedId ? document : { ...document, id: claimedId }
}

/** Groups in the order of their urls, which is the order that rows are locked in. */
export function inUrlOrder(groups: Group[]): Group[] {
  return groups.sort((a, b) => compare(urlOf(a), urlOf(b)))
}

/** Takes the groups out that claim an id which another group before them claims. */
export function apartByClaim(groups: Group[]): { first: Group[]; later: Group[] } {
  const claimed = new Set<string>()
  const first: Group[] = []
  const later: Group[] = []
  for (const group of groups) {
    const isRepeat = group.claimedId !== null && claimed.has(group.claimedId)
    if (group.claimedId !== null) claimed.add(group.claimedId)
    if (isRepeat) later.push(group)
    else first.push(group)
  }
  return { first, later }
}

function arrange(group: Group, receivedAt: string): void {
  const timeOf = ({ document }: Sent) => document.content.crawledAt ?? receivedAt
  group.members.sort((a, b) => compare(timeOf(b), timeOf(a)) || b.index - a.index)
  group.claimedId = firstId(group.members)
}

function firstId(members: Sent[]): string | null {
  return members.find((member) => member.document.id !== null)?.document.id ?? null
}

function urlOf(group: Group): string {
  return (group.members[0] as Sent).document.url
}

function compare(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}
