import { RUN_KIND_NAMES, type RunKind, usesDatabase } from '../api/run-kinds.ts'
import { databaseOf } from '../api/unions.ts'
import { drainApi } from './api/drain.ts'
import { liveDatabase } from './database/live.ts'
import { checkManagedDatabase } from './database/managed.ts'
import { checkProvisioning } from './database/provisioning.ts'
import { waitForTask } from './database/restart.ts'
import { checkContract, checkSchema, suspendMigration } from './database/schema.ts'
import { withServedConnections } from './database/settings-trial.ts'
import { stopped } from './database/stopped.ts'
import { holdOf } from './hold.ts'
import type { Observed } from './observed.ts'
import type { Plan } from './plan.ts'
import { taskEnd } from './runs/job-end.ts'
import { calledOff, isActive, isUnderWay } from './runs/runs.ts'
import type { Facts, Step } from './step.ts'
import { checkSurroundings } from './surroundings.ts'
import { taskAtWork } from './turn.ts'

/**
 * The checks of an instance that is to be off. The service goes first, then a managed database, once nothing works on it any
 * more. No run begins, and those that only look at something are called off; nothing asks an external database.
 */
export function planStop(observed: Observed): Plan['steps'] {
  const isMigrating = isAtWork(observed, 'migrate')
  const provisioning = isAtWork(observed, 'provision') ? checkProvisioning(observed, false) : undefined
  const schema = isMigrating ? checkSchema(observed) : suspendMigration(observed)
  const contract = isMigrating && schema?.state === 'done' ? checkContract(observed, false) : undefined
  const api = drainApi(observed)
  const stopping = stopDatabase(observed, api)
  const database = { ...stopping, facts: { ...stopping.facts, runs: calledOffRuns(observed) } }
  return { surroundings: checkSurroundings(observed, false), database, provisioning, schema, api, contract }
}

/** Whether a run goes on to its end: not one whose pod cannot be made, or has no node. */
function isAtWork(observed: Observed, kind: RunKind): boolean {
  if (!isUnderWay(observed, kind)) return false
  const { instance, jobs, pods } = observed
  const job = jobs.find(({ metadata }) => metadata.name === instance.status?.runs?.[kind]?.name)
  return job === undefined || taskEnd(pods, job) !== undefined || taskAtWork(observed) !== undefined
}

/** Runs that only look at something, and those that have not begun; their Jobs go with them. */
function calledOffRuns(observed: Observed): Facts['runs'] {
  const runs = observed.instance.status?.runs ?? {}
  const kinds = RUN_KIND_NAMES.filter((kind) => kind !== 'migrate' && !(usesDatabase(kind) && isAtWork(observed, kind)))
  const over = kinds.flatMap((kind) => {
    const run = runs[kind]
    return run !== undefined && isActive(run) ? [[kind, calledOff(observed, run)]] : []
  })
  return Object.fromEntries(over)
}

function stopDatabase(observed: Observed, api: Step): Step {
  const database = databaseOf(observed.instance.spec)
  if (database.kind === 'External') return stopped('The operator does not use the external database meanwhile.')
  const before = liveDatabase(observed)?.spec?.replicas === 1 ? awaitIdle(observed, api) : undefined
  if (before !== undefined) return before
  const { databasePods: pods } = holdOf(observed.instance)
  return checkManagedDatabase(observed, withServedConnections(observed, database), { pods, mayRestart: false })
}

/** What a server that runs has to wait for: everything that still uses it. */
function awaitIdle(observed: Observed, api: Step): Step | undefined {
  if (api.state !== 'done') return { state: 'waiting', why: api.why }
  return waitForTask(observed, 'Stopping', 'PostgreSQL is stopped')
}
