import { parseDurationMs } from './durations.ts'
import { scheduleProblem, turnOf } from './schedule.ts'

/** A time that comes again and again, as the spec has it, and stays for a while. */
export type WindowSpec = { schedule: string; duration: string; timeZone: string }

/** Whether it is now; `opensAt`: when it comes next, if ever; `problem`: why nobody can tell, for its author. */
export type WindowState =
  | { state: 'open' }
  | { state: 'closed'; opensAt?: Date }
  | { state: 'invalid'; problem: string }

/** Where a window is at a time. Undefined where there is none: its schedule is empty. */
export function windowAt({ schedule, duration, timeZone }: WindowSpec, now: Date): WindowState | undefined {
  if (schedule === '') return undefined
  const cron = { cron: schedule, timeZone }
  const problem = scheduleProblem(cron)
  if (problem !== undefined) return { state: 'invalid', problem }
  const since = new Date(now.getTime() - (parseDurationMs(duration) ?? 0))
  const { due, nextAt } = turnOf(cron, { name: '', spreadMs: 0, since, now })
  if (due !== undefined) return { state: 'open' }
  return { state: 'closed', ...(nextAt && { opensAt: nextAt }) }
}
