import { writeFileSync } from 'node:fs'
import { cpus, loadavg, totalmem } from 'node:os'
import type { Case, Measure } from './case.ts'
import type { CaseResult, Outcome } from './runner.ts'
import { median } from './statistics.ts'

const HEADINGS = [
  'case',
  'measure',
  'ours',
  'baseline',
  'ratio',
  'goal',
  'met',
  'PostgreSQL CPU ms / 1,000 rows',
  'server CPU',
  'all CPU',
  'ratio by CPU',
]

/** One result with the case that it belongs to. */
export type Report = { subject: Case; result: CaseResult }

/** The results as a table in Markdown, one line a goal. */
export function toTable(reports: Report[]): string {
  const rows = reports.flatMap(({ subject, result }) =>
    result.outcomes.map((outcome) => toRow(subject, result, outcome)),
  )
  const widths = HEADINGS.map((heading, column) =>
    Math.max(...[heading, ...rows.map((row) => row[column] ?? '')].map((text) => text.length)),
  )
  const line = (cells: string[]) => `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`
  return [line(HEADINGS), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n')
}

function toRow(subject: Case, result: CaseResult, outcome: Outcome): string[] {
  const { goal, ours, baseline, ratio, lowest, highest, met } = outcome
  const spread = `(${format(lowest)} to ${format(highest)})`
  return [
    subject.name,
    goal.label,
    goal.compare === 'value' ? `${format(ours)} ${spread}` : format(ours),
    baseline === undefined || goal.compare === 'value' ? '' : format(baseline),
    ratio === undefined || goal.compare === 'value' ? '' : `${format(ratio)} ${spread}`,
    goal.atLeast === undefined ? `at most ${goal.atMost}` : `at least ${goal.atLeast}`,
    met ? 'yes' : 'NO',
    pair(result, 'postgresCpuMsPerThousand'),
    pair(result, 'serverCpuMsPerThousand'),
    pair(result, 'allCpuMsPerThousand'),
    ratioByCpu(result),
  ]
}

/** What the ratio of the rates would be if CPU alone limited both sides: steady where others use the machine as well. */
function ratioByCpu({ rounds }: CaseResult): string {
  const ratios = rounds.flatMap(({ ours, baseline }) =>
    baseline ? [baseline.allCpuMsPerThousand / ours.allCpuMsPerThousand] : [],
  )
  return ratios.length > 0 ? format(median(ratios)) : ''
}

function pair({ rounds }: CaseResult, metric: keyof Measure): string {
  const ours = format(median(rounds.map((round) => round.ours[metric])))
  const others = rounds.flatMap(({ baseline }) => (baseline ? [baseline[metric]] : []))
  return others.length > 0 ? `${ours} / ${format(median(others))}` : ours
}

function format(value: number): string {
  if (value === 0 || Number.isNaN(value)) return String(value)
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en')
  return value.toPrecision(Math.abs(value) < 0.1 ? 2 : 3)
}

/** Writes every measure as JSON, with what it was measured on. */
export function writeJson(file: string, reports: Report[]): void {
  // Far above the number of CPUs, others were at work too.
  const loadAverage = loadavg().map((load) => Number(load.toFixed(1)))
  const machine = {
    cpus: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.version,
    loadAverage,
  }
  const cases = reports.map(({ subject: { title, against }, result }) => ({ title, against, ...result }))
  writeFileSync(file, `${JSON.stringify({ measuredAt: new Date().toISOString(), machine, cases }, undefined, 2)}\n`)
}
