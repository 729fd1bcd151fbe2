import pg from 'pg'
import type { StepTimes, WorkSession } from '../database/session.ts'
import { MigrationError } from '../errors.ts'
import { partsOf, type Statement } from '../files/statements.ts'
import { BuildProgress } from './progress.ts'
import { explain } from './run-statement.ts'

/** The file that asks for a build, as messages name it, and the times that it sets. */
type Origin = { label: string; times: StepTimes }
type Build = { statement: Statement; wasBegun: boolean }
/** An index and its schema, unquoted. */
export type IndexName = { schema: string; index: string }

/**
 * CREATE INDEX CONCURRENTLY so that it ends with a valid index or none: an invalid one of the same name, which a build that
 * was broken off leaves and IF NOT EXISTS would accept, is dropped and built anew. Throws `failed` where it stays invalid.
 */
export async function buildIndex(session: WorkSession, origin: Origin, build: Build): Promise<void> {
  const name = nameOf(build.statement, origin.label)
  await session.retrying(async () => {
    const found = await readValidity(session.client, name)
    if (found === true && build.wasBegun) return
    if (found === false) await dropInvalid(session, name)
    await buildOnce(session, origin, { ...build, name })
  })
}

async function buildOnce(session: WorkSession, origin: Origin, build: Build & { name: IndexName }): Promise<void> {
  const { name, statement } = build
  const progress = new BuildProgress(session, name.index)
  try {
    session.throwIfAborted()
    await session.withTimes(session.patientTimes(origin.times), () => session.client.query(statement.text))
  } catch (error) {
    if ((await readValidity(session.client, name).catch(() => undefined)) === false) await dropInvalid(session, name)
    session.throwIfAborted()
    throw explain(error, `Migration ${origin.label} failed at line ${statement.line}`)
  } finally {
    await progress.stop()
  }
  if ((await readValidity(session.client, name)) === true) return
  throw new MigrationError('failed', `Migration ${origin.label}: the index ${name.index} is not valid after its build.`)
}

function nameOf(statement: Statement, label: string): IndexName {
  const parts = partsOf(statement, 'IndexStmt')
  const index = parts?.idxname
  const { schemaname } = (parts?.relation ?? {}) as { schemaname?: string }
  if (typeof index === 'string' && typeof schemaname === 'string') return { schema: schemaname, index }
  throw new MigrationError(
    'bad_file',
    `${label}/up.sql line ${statement.line}: an index that is built CONCURRENTLY needs its name and the schema of its table.`,
  )
}

/** A name with its schema, quoted. */
export function qualifiedName(schema: string, name: string): string {
  return `${pg.escapeIdentifier(schema)}.${pg.escapeIdentifier(name)}`
}

/** Whether the index is valid; undefined where there is none. */
export async function readValidity(client: pg.ClientBase, { schema, index }: IndexName): Promise<boolean | undefined> {
  const { rows } = await client.query<{ valid: boolean }>(
    `SELECT pg_index.indisvalid AND pg_index.indisready AS valid FROM pg_index
     JOIN pg_class AS class ON class.oid = pg_index.indexrelid
     JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
     WHERE namespace.nspname = $1 AND class.relname = $2`,
    [schema, index],
  )
  return rows[0]?.valid
}

async function dropInvalid(session: WorkSession, { schema, index }: IndexName): Promise<void> {
  session.log(`dropping the invalid index ${schema}.${index}, which a build that was broken off has left`)
  const qualified = qualifiedName(schema, index)
  await session.withTimes(session.patientTimes({}), () =>
    session.client.query(`DROP INDEX CONCURRENTLY IF EXISTS ${qualified}`),
  )
}

/** Drops what a REINDEX CONCURRENTLY that was broken off has left: invalid twins of an index. */
export async function dropLeftovers(session: WorkSession): Promise<void> {
  const { rows } = await session.client.query<IndexName>(
    `SELECT namespace.nspname AS schema, class.relname AS index FROM pg_index
     JOIN pg_class AS class ON class.oid = pg_index.indexrelid
     JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
     WHERE NOT indisvalid AND class.relname ~ '_cc(new|old)[0-9]*$' AND namespace.nspname IN ('public', 'storage')`,
  )
  for (const name of rows) await dropInvalid(session, name)
}
