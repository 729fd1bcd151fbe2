import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const ROOT = join(import.meta.dirname, '..', '..')

/**
 * Brings a database to the schema that the tests run on: that of this checkout. A later release lets these tests run on its
 * own: made by its runner (`TEST_SCHEMA_RUNNER`, the folder of its checkout) from its files (`TEST_SCHEMA_FOLDER`).
 */
export async function makeSchema(databaseUrl: string): Promise<void> {
  const { TEST_SCHEMA_RUNNER = ROOT, TEST_SCHEMA_FOLDER: folder } = process.env
  const runner = pathToFileURL(join(TEST_SCHEMA_RUNNER, 'migrations', 'run', 'run.ts')).href
  const { migrate } = (await import(runner)) as typeof import('../../migrations/run/run.ts')
  await migrate({ databaseUrl, ...(folder !== undefined && { folder }) })
}
