/** Runs one case: warm-up, rounds in turn, medians of the rounds' ratios. */
import type { Bench } from './bench.ts'
import type { Case, Goal, Measure, Turn } from './case.ts'
import type { LoadResult } from './load/spec.ts'
import { SIDES, type Side } from './postgres.ts'
import { cpuSeconds, cpuSecondsOfTree, memoryMiB } from './proc-stat.ts'
import { printStatements, resetStatements } from './profile.ts'
import { median } from './statistics.ts'

export type RunOptions = { rounds: number; secondsPerTurn: number }

/** One round: a turn of each side. */
export type Round = { ours: Measure; baseline?: Measure }

/** What became of a goal. `ratio` is the median of the rounds' ratios; the others are medians of the values. */
export type Outcome = {
  goal: Goal
  ours: number
  baseline: number | undefined
  ratio: number | undefined
  lowest: number
  highest: number
  met: boolean
}

export type CaseResult = { name: string; amount: number; rounds: Round[]; outcomes: Outcome[] }

const WARM_UP_TURNS = 2
/** The last items of a stock belong to few hosts, so that a polite pop finds hardly any. */
const STOCK_SHARE = 0.75

/** Runs a case from empty databases to its outcome. */
export async function runCase(bench: Bench, subject: Case, options: RunOptions): Promise<CaseResult> {
  try {
    await bench.begin(subject)
    await subject.setUp?.(bench)
    // Tables that have grown in a moment were not analyzed yet: the first plans would be those for empty ones.
    for (const side of SIDES) await bench.postgres.tidy(side, false)
    const amount = await warmUp(bench, subject, options)
    const rounds: Round[] = []
    for (let round = 0; round < options.rounds; round += 1) {
      rounds.push(await runRound({ bench, amount, round }, subject))
    }
    return { name: subject.name, amount, rounds, outcomes: subject.goals.map((goal) => judge(goal, rounds)) }
  } finally {
    await bench.end()
  }
}

/** Lets both sides compile and prepare, and finds how many rows fill a turn. */
async function warmUp(bench: Bench, subject: Case, options: RunOptions): Promise<number> {
  if (subject.fixed) {
    await runRound({ bench, amount: subject.amount, round: -1 }, subject)
    return subject.amount
  }
  let amount = subject.amount
  for (let turn = WARM_UP_TURNS; turn > 0; turn -= 1) {
    const { ours, baseline } = await runRound({ bench, amount, round: -turn }, subject)
    // By the faster side: a turn of a second or less would mostly show how it begins.
    const seconds = Math.min(ours.seconds, baseline?.seconds ?? ours.seconds)
    const most = ((subject.stock?.(bench) ?? Number.POSITIVE_INFINITY) * STOCK_SHARE) / (options.rounds + WARM_UP_TURNS)
    amount = turnAmount({
      perSecond: amount / seconds,
      seconds: options.secondsPerTurn,
      granule: subject.granule,
      most,
    })
  }
  return amount
}

type TurnSize = { perSecond: number; seconds: number; granule: number; most: number }

/** Rows that fill the time of a turn, in whole granules: one at least, and no more than there are for it. */
export function turnAmount({ perSecond, seconds, granule, most }: TurnSize): number {
  const wanted = Math.ceil((perSecond * seconds) / granule)
  return Math.max(1, Math.min(wanted, Math.floor(most / granule))) * granule
}

async function runRound(turn: Omit<Turn, 'side'>, subject: Case): Promise<Round> {
  const sides: Side[] = subject.baseline === 'none' ? ['ours'] : [...SIDES]
  // Who begins changes, so that neither side always follows the other.
  if (turn.round % 2 !== 0) sides.reverse()
  const measures: Partial<Record<Side, Measure>> = {}
  for (const side of sides) measures[side] = await runTurn({ ...turn, side }, subject)
  const { ours, baseline } = measures
  if (!ours) throw new Error('Our side has a turn in every round.')
  return baseline ? { ours, baseline } : { ours }
}

async function runTurn(turn: Turn, subject: Case): Promise<Measure> {
  const { bench, side, round } = turn
  const work = await subject.turn(turn)
  await bench.postgres.tidy(side, subject.isAutovacuumed === true)
  await resetStatements(turn)
  const before = await sample(bench, side)
  const result = await work()
  const measure = toMeasure(result, before, await sample(bench, side))
  await printStatements(turn)
  await subject.check?.(turn, result)
  for (const violation of result.violations ?? []) bench.options.log(`    violation: ${violation}`)
  const label = round < 0 ? 'warm-up' : `round ${round + 1}`
  bench.options.log(`  ${label}, ${side}: ${describe(measure)}`)
  return measure
}

type Sample = {
  postgresCpu: number
  serverCpu: number
  loadCpu: number
  walBytes: number
  rssMiB: number
  peakRssMiB: number
}

async function sample(bench: Bench, side: Side): Promise<Sample> {
  const pid = bench.pid(side)
  const memory = pid === undefined ? { now: 0, peak: 0 } : memoryMiB(pid)
  return {
    postgresCpu: cpuSecondsOfTree(bench.postgres.pid),
    serverCpu: pid === undefined ? 0 : cpuSeconds(pid),
    loadCpu: bench.loadPid === undefined ? 0 : cpuSeconds(bench.loadPid),
    walBytes: await bench.postgres.walBytes(),
    rssMiB: memory.now,
    peakRssMiB: memory.peak,
  }
}

function toMeasure(result: LoadResult, before: Sample, after: Sample): Measure {
  const { rows, seconds, latency, scriptCpuSeconds = 0 } = result
  const perThousand = (cpuSeconds: number) => (cpuSeconds * 1e6) / rows
  const cpu = (key: 'postgresCpu' | 'serverCpu' | 'loadCpu') => perThousand(after[key] - before[key])
  const serverCpu = cpu('serverCpu') + perThousand(scriptCpuSeconds)
  return {
    rows,
    seconds,
    rowsPerSecond: rows / seconds,
    postgresCpuMsPerThousand: cpu('postgresCpu'),
    serverCpuMsPerThousand: serverCpu,
    allCpuMsPerThousand: cpu('postgresCpu') + serverCpu + cpu('loadCpu'),
    walBytesPerRow: (after.walBytes - before.walBytes) / rows,
    p50Ms: latency?.p50Ms ?? 0,
    p99Ms: latency?.p99Ms ?? 0,
    maxMs: latency?.maxMs ?? 0,
    rssMiB: after.rssMiB,
    peakRssMiB: after.peakRssMiB,
    violations: result.violations?.length ?? 0,
  }
}

function describe(measure: Measure): string {
  const parts = [
    `${Math.round(measure.rowsPerSecond)} rows/s in ${measure.seconds.toFixed(1)} s`,
    `PostgreSQL ${measure.postgresCpuMsPerThousand.toFixed(1)} ms CPU and ${measure.serverCpuMsPerThousand.toFixed(1)} ms of the server (${measure.allCpuMsPerThousand.toFixed(1)} in all) for 1,000 rows`,
    `${Math.round(measure.walBytesPerRow)} WAL bytes a row`,
    `p50 ${measure.p50Ms.toFixed(1)} p99 ${measure.p99Ms.toFixed(1)} ms`,
    `RSS ${Math.round(measure.rssMiB)} MiB`,
  ]
  return parts.join(', ')
}

function judge(goal: Goal, rounds: Round[]): Outcome {
  const ours = rounds.map((round) => round.ours[goal.metric])
  const baseline = rounds.flatMap((round) => (round.baseline ? [round.baseline[goal.metric]] : []))
  const ratios = baseline.map((value, index) => (ours[index] ?? Number.NaN) / value)
  const judged = goal.compare === 'ratio' ? ratios : ours
  const value = goal.metric === 'violations' ? Math.max(...judged) : median(judged)
  const met = value >= (goal.atLeast ?? Number.NEGATIVE_INFINITY) && value <= (goal.atMost ?? Number.POSITIVE_INFINITY)
  return {
    goal,
    ours: median(ours),
    baseline: baseline.length > 0 ? median(baseline) : undefined,
    ratio: ratios.length > 0 ? median(ratios) : undefined,
    lowest: Math.min(...judged),
    highest: Math.max(...judged),
    met,
  }
}
