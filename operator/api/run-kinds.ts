const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS

/** What is fixed for all runs of a kind. */
type RunKindEntry = {
  /** File in `operator/tasks`, without its ending, that the Job runs; absent where the kind is not implemented yet. */
  program?: string
  /** Image of the Job: that of the service, whose release it is about, or the one with the programs of PostgreSQL. */
  image: 'service' | 'postgres'
  /** Whether it works on the data: one such run at a time, and no restart of the database beside it. */
  usesDatabase: boolean
  /** How long a run may take; then it is stopped and counts as failed. */
  limitMs: number
}

/**
 * All kinds of runs. The kind is the component in the labels of its Jobs and pods, the middle of their names, and the field in
 * status.runs. Runs that are recorded in the same second begin in this order.
 */
export const RUN_KINDS = {
  // Before a migration, which grants what it makes to the roles that are there.
  provision: { program: 'provision', image: 'postgres', usesDatabase: true, limitMs: 10 * MINUTE_MS },
  // Indexes of large tables are built in it.
  migrate: { program: 'migrate', image: 'service', usesDatabase: true, limitMs: 6 * HOUR_MS },
  probe: { program: 'probe', image: 'service', usesDatabase: false, limitMs: 2 * MINUTE_MS },
  settings: { program: 'settings', image: 'postgres', usesDatabase: false, limitMs: 2 * MINUTE_MS },
  backup: { image: 'postgres', usesDatabase: true, limitMs: 24 * HOUR_MS },
  verify: { image: 'postgres', usesDatabase: true, limitMs: 24 * HOUR_MS },
  restore: { image: 'postgres', usesDatabase: true, limitMs: 24 * HOUR_MS },
  maintain: { image: 'postgres', usesDatabase: true, limitMs: 6 * HOUR_MS },
} as const satisfies Record<string, RunKindEntry>

/** A kind of run. */
export type RunKind = keyof typeof RUN_KINDS

/** The kinds in their order. */
export const RUN_KIND_NAMES = Object.keys(RUN_KINDS) as RunKind[]

/** The kinds that people ask for by an annotation. */
export type RequestedKind = Extract<RunKind, 'migrate' | 'maintain'>

/** What the table says of a kind. */
export function runKind(kind: RunKind): RunKindEntry {
  return RUN_KINDS[kind]
}

/** Whether a component is a kind of run that works on the data. */
export function usesDatabase(component: string | undefined): boolean {
  return RUN_KIND_NAMES.some((kind) => kind === component && RUN_KINDS[kind].usesDatabase)
}
