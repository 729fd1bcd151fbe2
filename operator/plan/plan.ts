import { databaseOf } from '../api/unions.ts'
import type { Observed } from '../observed.ts'
import { checkApi } from './api.ts'
import { checkDrift } from './drift.ts'
import { checkExternalDatabase } from './external-database.ts'
import { checkManagedDatabase } from './managed-database.ts'
import { checkContract, checkSchema } from './schema.ts'
import type { Step } from './step.ts'
import { checkSurroundings } from './surroundings.ts'

/** The checks of an instance, in their order. */
export const CHECKS = ['surroundings', 'database', 'schema', 'api', 'contract', 'drift'] as const
export type CheckName = (typeof CHECKS)[number]

/** What each check made of the world. One that waits for an earlier one and has nothing to do of its own is absent. */
export type Plan = { steps: Partial<Record<CheckName, Step>> }

/**
 * What is to be done now, and what is to be said. Pure: the same world gives the same plan, and a world in which the plan
 * was carried out gives one without actions. The order is the promise: database, schema, pods, contracts.
 */
export function plan(observed: Observed): Plan {
  const { instance } = observed
  if (instance.spec.paused || instance.metadata.deletionTimestamp !== undefined) return { steps: {} }
  const surroundings = checkSurroundings(observed)
  const database = checkDatabase(observed)
  const schema = database.state === 'done' ? checkSchema(observed) : undefined
  // The pods that are there are kept in shape whatever the database does.
  const api = checkApi(observed, { database, isSchemaReady: schema?.state === 'done' })
  const contract = schema?.state === 'done' ? checkContract(observed, api.state === 'done') : undefined
  const drift = checkDrift(observed)
  return { steps: { surroundings, database, ...(schema && { schema }), api, ...(contract && { contract }), drift } }
}

function checkDatabase(observed: Observed): Step {
  const database = databaseOf(observed.instance.spec)
  return database.kind === 'External'
    ? checkExternalDatabase(observed, database)
    : checkManagedDatabase(observed, database)
}

/** The steps of a plan in their order. */
export function stepsOf({ steps }: Plan): Step[] {
  return CHECKS.flatMap((name) => steps[name] ?? [])
}
