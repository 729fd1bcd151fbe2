import { PG_BOSS_SCHEMA_VERSION } from '../database/pg-boss.ts'
import { connect } from '../database/session.ts'
import { readMigrations } from '../files/files.ts'
import { MIGRATIONS_FOLDER } from '../files/folder.ts'
import { migrate } from '../run/run.ts'
import type { Definition } from './catalogue.ts'
import { fingerprintOf, type Query, readCatalogue, type SchemaLock } from './fingerprint.ts'

type Objects = Record<string, Definition>

/** Applies all migrations to an empty database of a role that may make roles, and writes down what its catalogue says then. */
export async function makeSchemaLock(databaseUrl: string, folder = MIGRATIONS_FOLDER): Promise<SchemaLock> {
  const client = await connect(databaseUrl)
  const query: Query = async <R>(text: string) => (await client.query(text)).rows as R[]
  const read = () => readCatalogue(query, 'all')
  try {
    const stages: { before: string; objects: Objects }[] = []
    const options = { databaseUrl, folder, roles: { app: {}, backup: {} } }
    let { pendingContract } = await migrate(options)
    for (const version of [...pendingContract]) {
      stages.push({ before: version, objects: (await read()).objects })
      ;({ pendingContract } = await migrate({ ...options, approveContract: [version] }))
    }
    const { objects, grants } = await read()
    const before = stages.map((stage) => [stage.before, deltaTo(objects, stage.objects)] as const)
    return {
      fingerprint: fingerprintOf(objects),
      pgBoss: PG_BOSS_SCHEMA_VERSION,
      migrations: (await readMigrations(folder)).map((file) => file.version),
      objects,
      grants,
      beforeContract: Object.fromEntries(before),
    }
  } finally {
    await client.end()
  }
}

/** What to put over `last` to get `stage`. */
function deltaTo(last: Objects, stage: Objects): SchemaLock['beforeContract'][string] {
  const gone = Object.keys(last).filter((key) => !(key in stage))
  const other = Object.keys(stage).filter((key) => JSON.stringify(stage[key]) !== JSON.stringify(last[key]))
  const objects = [...gone.map((key) => [key, null]), ...other.map((key) => [key, stage[key]])]
  return { fingerprint: fingerprintOf(stage), objects: Object.fromEntries(objects) }
}
