import type { Bench } from './bench.ts'
import type { LoadResult } from './load/spec.ts'
import type { Side } from './postgres.ts'

/** What is measured in a slice: one side's turn in a round. The `...PerThousand` are for 1,000 rows. */
export type Measure = {
  rows: number
  seconds: number
  rowsPerSecond: number
  postgresCpuMsPerThousand: number
  /** Of the process under test: the service, or the baseline's. */
  serverCpuMsPerThousand: number
  /** Of all processes together, the load included: what the rate depends on when nothing else runs. */
  allCpuMsPerThousand: number
  walBytesPerRow: number
  p50Ms: number
  p99Ms: number
  maxMs: number
  /** Memory of the process under test at the end, and the most it ever held. */
  rssMiB: number
  peakRssMiB: number
  violations: number
}

/** A goal: the ratio of ours to the baseline's value in the same round, or our own value. */
export type Goal = {
  metric: keyof Measure
  compare: 'ratio' | 'value'
  atLeast?: number
  atMost?: number
  /** How the measure is called in the table. */
  label: string
}

/** One turn of a side. `round` counts from 0; the turns before the first round warm up and have negative numbers. */
export type Turn = { bench: Bench; side: Side; amount: number; round: number }

/** The timed part of a turn. */
export type TimedWork = () => Promise<LoadResult>

/** One line of the table. */
export type Case = {
  name: string
  title: string
  against: string
  goals: Goal[]
  /**
   * What runs as the other side: the raw server, the one that writes only documents that differ, the one with plain pg-boss,
   * the one with a lean table of its own, a script, nothing, or the service on a schema without the change feed.
   */
  baseline: 'raw' | 'distinct' | 'boss' | 'lean' | 'script' | 'none' | 'feedless'
  /** Autovacuum is on, as it is by default, and nothing is vacuumed between the turns. */
  isAutovacuumed?: boolean
  /** Rows of a first turn; later ones are as large as fits the time. `fixed` keeps this amount, and warms up with one turn. */
  amount: number
  fixed?: boolean
  /** Rows that all turns of a side take from: together they take three quarters of them at most. */
  stock?: (bench: Bench) => number
  /** Amounts are multiples of this: the batch times the connections. */
  granule: number
  /** Most rounds by default, for cases that take minutes. */
  rounds?: number
  /** Makes the data that all turns of both sides share. Servers run already. */
  setUp?: (bench: Bench) => Promise<void>
  /** Prepares a turn (not timed) and answers its work. */
  turn: (turn: Turn) => Promise<TimedWork>
  /** Throws when the turn did not do what it should have. */
  check?: (turn: Turn, result: LoadResult) => Promise<void>
}
