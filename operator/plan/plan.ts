import { databaseOf } from '../api/unions.ts'
import { checkApi } from './api/service.ts'
import { checkDrift } from './database/drift.ts'
import { checkExternalDatabase } from './database/external.ts'
import { checkManagedDatabase } from './database/managed.ts'
import { checkContract, checkSchema, withdrawMigration } from './database/schema.ts'
import { checkSettings, withServedConnections } from './database/settings-trial.ts'
import { areSecretsUnread, awaitHashKey } from './hash-key.ts'
import type { Observed } from './observed.ts'
import { planRequests, type RequestPlan } from './requests.ts'
import { isActive, isUnderWay } from './runs/runs.ts'
import type { Step } from './step.ts'
import { checkSurroundings } from './surroundings.ts'

/** The checks of an instance, in their order. */
export const CHECKS = ['surroundings', 'database', 'settings', 'schema', 'api', 'contract', 'drift'] as const
export type CheckName = (typeof CHECKS)[number]

/** What each check made of the world. One that waits for an earlier one and has nothing to do of its own is absent. */
export type Plan = { steps: Partial<Record<CheckName, Step>>; requests: RequestPlan[] }

/**
 * What is to be done now, and what is to be said. Pure: the same world gives the same plan, and a world in which the plan
 * was carried out gives one without actions. The order is the promise: database, schema, pods, contracts.
 */
export function plan(observed: Observed): Plan {
  const { instance } = observed
  if (instance.spec.paused || instance.metadata.deletionTimestamp !== undefined) return { steps: {}, requests: [] }
  const requests = planRequests(observed)
  if (areSecretsUnread(observed)) {
    return { steps: { surroundings: awaitHashKey(observed, checkSurroundings(observed, false)) }, requests }
  }
  const { database, settings } = checkDatabase(observed)
  const databaseGate = settings === undefined || database.state !== 'done' ? database : settings
  const surroundings = checkSurroundings(observed, databaseGate.state === 'done')
  // None begins before a restart that is to come, and one that has begun is followed to its end.
  const mayMigrate = database.state === 'done' && settings?.state !== 'waiting'
  const isFollowed = mayMigrate || isUnderWay(observed, 'migrate')
  const schema = isFollowed ? checkSchema(observed) : withdrawMigration(observed)
  // The pods that are there are kept in shape whatever the database does.
  const api = checkApi(observed, { databaseGate, isSchemaReady: isFollowed && schema?.state === 'done' })
  const contract = isFollowed && schema?.state === 'done' ? checkContract(observed, api.state === 'done') : undefined
  const drift = checkDrift(observed)
  return { steps: { surroundings, database, settings, schema, api, contract, drift }, requests }
}

function checkDatabase(observed: Observed): { database: Step; settings?: Step } {
  const database = databaseOf(observed.instance.spec)
  if (database.kind === 'External') return { database: checkExternalDatabase(observed, database) }
  const tuned = withServedConnections(observed, database)
  const settings = checkSettings(observed, tuned)
  return { settings, database: checkManagedDatabase(observed, tuned, settings.state === 'done') }
}

/** The steps of a plan in their order. */
export function stepsOf({ steps }: Plan): Step[] {
  return CHECKS.flatMap((name) => steps[name] ?? [])
}

/** Whether a plan begins a run that the status does not know yet: that is written down before anything is made. */
export function startsRun({ instance }: Observed, planned: Plan): boolean {
  const known = instance.status?.runs ?? {}
  const runs = stepsOf(planned).flatMap(({ facts }) => Object.entries(facts?.runs ?? {}))
  return runs.some(([kind, run]) => isActive(run) && run.name !== known[kind as keyof typeof known]?.name)
}
