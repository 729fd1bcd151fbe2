import { createHash } from 'node:crypto'
import { Cron } from 'croner'

/** When something is to be done again and again: the five fields of cron ("" is never), as clocks show it in the time zone. */
export type Schedule = { cron: string; timeZone: string }

/** Who asks, and what it did. */
export type TurnOptions = {
  /** What keeps the turns of many apart: `namespace/name`, say. */
  name: string
  /** Each turn comes up to so much after its time, by the name; 0 for exactly then. Shorter than the time between two turns. */
  spreadMs: number
  /** The turn that was taken last; before the first one, the time from which on the schedule counts. */
  since: Date
  now: Date
}

/** `due`: the turn to take now, to be given as `since` from then on. `nextAt`: when to ask again, for the turn after that. */
export type Turn = { due?: Date; nextAt?: Date }

const FIVE_FIELDS = /^\S+( \S+){4}$/
/** Any will do: a schedule that has a turn at all has one within eight years. */
const SOME_DATE = new Date('2026-01-01T00:00:00Z')

/** What is wrong with a schedule, for its author; undefined where nothing is. */
export function scheduleProblem({ cron, timeZone }: Schedule): string | undefined {
  if (cron === '') return undefined
  if (!isTimeZone(timeZone)) return `There is no time zone "${timeZone}".`
  if (!FIVE_FIELDS.test(cron)) return `"${cron}" does not have five fields: minute, hour, day, month, weekday.`
  try {
    const isEver = cronOf({ cron, timeZone }).nextRun(SOME_DATE) !== null
    return isEver ? undefined : `"${cron}" never comes.`
  } catch {
    return `"${cron}" is not a schedule: minute (0-59), hour (0-23), day (1-31), month (1-12), weekday (0-7).`
  }
}

/**
 * Whose turn it is. Of turns that were missed only the last one is due, and it once. A time of day that the change of clocks
 * leaves out comes when the gap ends, one that it repeats comes once; what recurs by `*` or a step within a day goes by
 * the time that passes. Throws where `scheduleProblem` finds something.
 */
export function turnOf(schedule: Schedule, { name, spreadMs, since, now }: TurnOptions): Turn {
  if (schedule.cron === '') return {}
  const cron = cronOf(schedule)
  const delayMs = delayOf(name, spreadMs)
  const latest = moved(now, -delayMs)
  // The millisecond: a turn at the very time counts.
  const [last] = cron.previousRuns(1, moved(latest, 1))
  const next = cron.nextRun(latest > since ? latest : since)
  return {
    ...(last !== undefined && last > since && { due: last }),
    ...(next !== null && { nextAt: moved(next, delayMs) }),
  }
}

/** From 0 to below `spreadMs`: the same for a name, after any restart, and different names all over it. */
function delayOf(name: string, spreadMs: number): number {
  const share = createHash('sha256').update(name).digest().readUInt32BE(0) / 2 ** 32
  return Math.floor(share * spreadMs)
}

/** Without a function to call, croner only reckons: it starts no timer. It asks the clock where it is given no time. */
function cronOf({ cron, timeZone }: Schedule): Cron {
  return new Cron(cron, { timezone: timeZone, mode: '5-part', fixedTimeRule: 'no-wildcard' })
}

function isTimeZone(timeZone: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone }).format() !== ''
  } catch {
    return false
  }
}

function moved(at: Date, ms: number): Date {
  return new Date(at.getTime() + ms)
}
