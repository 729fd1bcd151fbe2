import type { ManagedDatabase } from '../api/instance/database.ts'
import type { RunKind } from '../api/run-kinds.ts'
import { databaseOf } from '../api/unions.ts'
import { changesChild } from './action.ts'
import { checkApi, liveDeployment } from './api/service.ts'
import { checkDrift } from './database/drift.ts'
import { checkExternalDatabase } from './database/external.ts'
import { checkManagedDatabase } from './database/managed.ts'
import { checkProvisioning } from './database/provisioning.ts'
import { checkContract, checkSchema, withdrawMigration } from './database/schema.ts'
import { checkSettings, withServedConnections } from './database/settings-trial.ts'
import { areSecretsUnread, awaitHashKey } from './hash-key.ts'
import { holdOf } from './hold.ts'
import type { Observed } from './observed.ts'
import { planRequests, type RequestPlan } from './requests.ts'
import { checkRollout, isAtRest, isOwnDoing } from './rollout.ts'
import { isActive, isUnderWay } from './runs/runs.ts'
import type { Step } from './step.ts'
import { planStop } from './stop.ts'
import { checkSurroundings } from './surroundings.ts'

/** The checks of an instance, in their order. */
export const CHECKS = [
  'surroundings',
  'database',
  'settings',
  'provisioning',
  'schema',
  'api',
  'contract',
  'drift',
  'rollout',
] as const
export type CheckName = (typeof CHECKS)[number]

/** What each check made of the world. One that waits for an earlier one and has nothing to do of its own is absent. */
export type Plan = { steps: Partial<Record<CheckName, Step>>; requests: RequestPlan[] }

/**
 * What is to be done now, and what is to be said. Pure: the same world gives the same plan, and a world in which the plan
 * was carried out gives one without actions. The order is the promise: database, what it offers, schema, pods, contracts.
 */
export function plan(observed: Observed): Plan {
  const { instance } = observed
  if (instance.spec.paused || instance.metadata.deletionTimestamp !== undefined) return { steps: {}, requests: [] }
  const requests = planRequests(observed)
  if (areSecretsUnread(observed)) {
    const surroundings = awaitHashKey(observed, checkSurroundings(observed, false))
    return { steps: withRollout(observed, { surroundings }), requests }
  }
  if (holdOf(instance).service) return { steps: withRollout(observed, planStop(observed)), requests }
  const { database, settings, provisioning, mayMigrate } = checkDatabase(observed)
  const databaseGate = settings === undefined || database.state !== 'done' ? database : settings
  const surroundings = checkSurroundings(observed, databaseGate.state === 'done')
  // One that has begun is followed to its end.
  const isFollowed = mayMigrate || isUnderWay(observed, 'migrate')
  const schema = isFollowed ? checkSchema(observed) : withdrawMigration(observed)
  // The pods that are there are kept in shape whatever the database does.
  const api = checkApi(observed, { databaseGate, isSchemaReady: isFollowed && schema?.state === 'done' })
  const contract = isFollowed && schema?.state === 'done' ? checkContract(observed, api.state === 'done') : undefined
  const drift = checkDrift(observed)
  const steps = { surroundings, database, settings, provisioning, schema, api, contract, drift }
  return { steps: withRollout(observed, steps), requests }
}

type DatabaseSteps = { database: Step; settings?: Step; provisioning?: Step | undefined; mayMigrate: boolean }

function checkDatabase(observed: Observed): DatabaseSteps {
  const isHeld = observed.rollout === 'held'
  const wanted = databaseOf(observed.instance.spec)
  if (wanted.kind === 'External') {
    const database = checkExternalDatabase(observed, wanted)
    return { database, mayMigrate: database.state === 'done' && !isHeld }
  }
  const { database, settings } = checkServer(observed, wanted)
  // No run begins before a restart that is to come, nor a migration before what it grants to is there.
  const isCalm = database.state === 'done' && settings.state !== 'waiting' && !isHeld
  const isServedAnew = database.pending === undefined && settings.pending === undefined
  const provisioning = checkProvisioning(observed, isCalm && isServedAnew)
  return { database, settings, provisioning, mayMigrate: isCalm && (provisioning?.state ?? 'done') === 'done' }
}

function checkServer(observed: Observed, database: ManagedDatabase): { database: Step; settings: Step } {
  const tuned = withServedConnections(observed, database)
  const settings = checkSettings(observed, tuned)
  const mayRestart = settings.state === 'done' && settings.pending === undefined && observed.rollout !== 'held'
  const { databasePods: pods } = holdOf(observed.instance)
  return { settings, database: checkManagedDatabase(observed, tuned, { pods, mayRestart }) }
}

function withRollout(observed: Observed, steps: Plan['steps']): Plan['steps'] {
  return { ...steps, rollout: checkRollout(observed, stepsOf({ steps })) }
}

/** The steps of a plan in their order. */
export function stepsOf({ steps }: Pick<Plan, 'steps'>): Step[] {
  return CHECKS.flatMap((name) => steps[name] ?? [])
}

/** Whether a plan begins something that the status does not know yet: that is written down before anything is made. */
export function begins(observed: Observed, planned: Plan): boolean {
  const startedAt = planned.steps.rollout?.facts?.rollout?.startedAt
  const isRolloutNew = startedAt !== undefined && observed.instance.status?.rollout?.startedAt === undefined
  return isRolloutNew || startedRuns(observed, planned).length > 0
}

/** Whether a plan changes the instance although nobody asked for it, or goes on with such a change. */
export function isRollout(observed: Observed, planned: Plan): boolean {
  const steps = stepsOf(planned)
  if (observed.instance.status?.rollout?.startedAt !== undefined) return !isAtRest(steps)
  // Where nothing serves, nothing can be spoiled.
  if (liveDeployment(observed) === undefined || holdOf(observed.instance).service) return false
  const isChange = steps.some(({ actions = [] }) => actions.some(changesChild))
  // A probe only looks.
  return isOwnDoing(observed) && (isChange || startedRuns(observed, planned).some((kind) => kind !== 'probe'))
}

/** Kinds of the runs that the status does not know yet. */
function startedRuns({ instance }: Observed, planned: Plan): RunKind[] {
  const known = instance.status?.runs ?? {}
  const runs = stepsOf(planned).flatMap(({ facts }) => Object.entries(facts?.runs ?? {}))
  const started = runs.filter(([kind, run]) => isActive(run) && run.name !== known[kind as RunKind]?.name)
  return started.map(([kind]) => kind as RunKind)
}
