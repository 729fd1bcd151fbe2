import type { LatencySummary } from '../statistics.ts'
import { totalOf, type Writes, withoutLease } from './audit-log.ts'
import type { Stretch } from './measure.ts'

/** Everything that one run of the bench has measured. */
export type Figures = {
  instances: number
  machine: { cpus: number; memoryGiB: number; node: string }
  /** Of the machine at the end, over 1, 5 and 15 minutes: figures of a loaded machine say little. */
  loadAverages: number[]
  /** From the first start until all instances are ready. */
  making: Stretch
  coldStart: { observedMs: number; reconciledMs: number; writes: Writes; peakMiB: number }
  /** Ten at a time, once all is at rest. */
  changes: LatencySummary & Stretch
  /** Ten while so many keys wait after a start. */
  changesDuringStart: LatencySummary & { waitingKeys: number }
  steady: Stretch
  memoryMiB: { now: number; peak: number }
}

export type Verdict = { measure: string; value: string; goal: string; met: boolean }

/** The figures that have a goal. */
export function verdicts({ making, coldStart, changes, steady, memoryMiB }: Figures): Verdict[] {
  const peak = Math.max(making.peakMiB, memoryMiB.peak)
  const steadyWrites = totalOf(withoutLease(steady.writes))
  return [
    verdict('peak of memory (VmHWM)', [peak, 'MiB'], 256),
    verdict('event to reconciled, ten at a time, p99', [changes.p99Ms, 'ms'], 1_000),
    verdict('cold start to all observed', [coldStart.observedMs / 1_000, 's'], 60),
    {
      measure: `writes but the Lease in ${Math.round(steady.seconds)} s without a change`,
      value: String(steadyWrites),
      goal: '0',
      met: steadyWrites === 0,
    },
  ]
}

function verdict(measure: string, [value, unit]: [number, string], below: number): Verdict {
  return { measure, value: `${value.toFixed(1)} ${unit}`, goal: `under ${below} ${unit}`, met: value < below }
}

/** The figures as a table in Markdown, and the rest as lines. */
export function toTable(figures: Figures): string {
  const rows = verdicts(figures).map(({ measure, value, goal, met }) => [measure, value, goal, met ? 'yes' : 'NO'])
  const { making, coldStart, changes, changesDuringStart, steady, memoryMiB, loadAverages } = figures
  const line = (cells: string[]) => `| ${cells.join(' | ')} |`
  return [
    line(['measure', 'value', 'goal', 'met']),
    line(['---', '---', '---', '---']),
    ...rows.map(line),
    '',
    `${figures.instances} instances; load averages of the machine: ${loadAverages.map((load) => load.toFixed(1)).join(', ')}`,
    `making all: ${describe(making)}`,
    `start: all reconciled after ${seconds(coldStart.reconciledMs)}, peak ${mib(coldStart.peakMiB)}; ${list(coldStart.writes)}`,
    `changes: p50 ${ms(changes.p50Ms)}, p99 ${ms(changes.p99Ms)}, max ${ms(changes.maxMs)}; ${describe(changes)}`,
    `changes right after the start, ${changesDuringStart.waitingKeys} keys waiting: p50 ${ms(changesDuringStart.p50Ms)}, max ${ms(changesDuringStart.maxMs)}`,
    `steady: ${describe(steady)}`,
    `memory: now ${mib(memoryMiB.now)}, peak ${mib(memoryMiB.peak)}`,
  ].join('\n')
}

function describe(stretch: Stretch): string {
  const { reconciles, reconcilesPerSecond, failedReconciles, reads, cpuSeconds, peakMiB, writes } = stretch
  return [
    `${stretch.seconds.toFixed(1)} s, ${reconciles} reconciles (${reconcilesPerSecond.toFixed(1)}/s, ${failedReconciles} failed)`,
    `${reads} reads, ${cpuSeconds.toFixed(1)} s of CPU, peak ${mib(peakMiB)}`,
    list(writes),
  ].join(', ')
}

function list(writes: Writes): string {
  const sorted = Object.entries(writes).sort(([, a], [, b]) => b - a)
  return sorted.length === 0 ? 'no writes' : sorted.map(([sort, count]) => `${count} ${sort}`).join(', ')
}

const ms = (value: number) => `${Math.round(value)} ms`
const seconds = (valueMs: number) => `${(valueMs / 1_000).toFixed(1)} s`
const mib = (value: number) => `${Math.round(value)} MiB`
