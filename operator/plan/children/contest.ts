/** Somebody changes a child again each time it is restored. `owners`: who owns which field, in the API server's words. */
export type Contest = { count: number; lastAt: Date; owners: readonly string[] }

/** So many times a change is undone at once. */
export const UNDONE_AT_ONCE = 5
const FIRST_WAIT_MS = 10_000
const MOST_WAIT_MS = 600_000
// Changes that are further apart have nothing to do with each other.
const RELATED_MS = 300_000
const SETTLED_MS = 60_000

/** The same contest after one more restore. */
export function prolonged(contest: Contest | undefined, now: Date, owners: readonly string[]): Contest {
  const isRelated = contest !== undefined && now.getTime() < contest.lastAt.getTime() + waitMs(contest) + RELATED_MS
  return { count: isRelated ? contest.count + 1 : 1, lastAt: now, owners }
}

/** How long the next restore of an endless contest still waits; undefined where a change is undone at once. */
export function restoreDueMs(contest: Contest | undefined, now: Date): number | undefined {
  if (contest === undefined || contest.count < UNDONE_AT_ONCE) return undefined
  const dueMs = contest.lastAt.getTime() + waitMs(contest) - now.getTime()
  return dueMs > -RELATED_MS ? Math.max(0, dueMs) : undefined
}

/** How long it takes to say that nobody has changed the child after all. */
export function settledDueMs(contest: Contest | undefined, now: Date): number | undefined {
  if (contest === undefined || contest.count < UNDONE_AT_ONCE) return undefined
  const dueMs = contest.lastAt.getTime() + SETTLED_MS - now.getTime()
  return dueMs > 0 ? dueMs : undefined
}

function waitMs({ count }: Contest): number {
  return count < UNDONE_AT_ONCE ? 0 : Math.min(MOST_WAIT_MS, FIRST_WAIT_MS * 2 ** (count - UNDONE_AT_ONCE))
}
