import pg from 'pg'
import type { WorkSession } from '../database/session.ts'
import { MigrationError } from '../errors.ts'
import { INDEXES_FILE, type IndexTarget, type Relation, targetOf } from '../files/index-target.ts'
import { type Statement, splitStatements } from '../files/statements.ts'
import { buildIndex, qualifiedName, readValidity } from './indexes.ts'

// The longest name that PostgreSQL keeps whole.
const NAME_BYTES = 63
const SUFFIX = '_idx'

/** Builds the indexes that are missing, and those that a build which was broken off has left invalid; nobody waits for it. */
export async function buildMissingIndexes(session: WorkSession, statements: Statement[]): Promise<void> {
  for (const statement of statements) await ensureIndex(session, statement)
}

/** Which of them a run would build now, as `schema.name`. */
export async function readMissingIndexes(client: pg.ClientBase, statements: Statement[]): Promise<string[]> {
  const missing: string[] = []
  for (const target of statements.map(targetOf)) {
    if ((await readValidity(client, target)) !== true) missing.push(`${target.schema}.${target.index}`)
  }
  return missing
}

async function ensureIndex(session: WorkSession, statement: Statement): Promise<void> {
  const { client } = session
  const target = targetOf(statement)
  const found = await readValidity(client, target)
  if (found === true) return
  session.log(`building the index ${target.schema}.${target.index}`)
  if (!(await isPartitioned(client, target))) return build(session, statement)
  if (found === undefined) await session.transaction(() => client.query(onlyOnParent(statement)))
  for (const partition of await readPartitionsWithout(client, target))
    await buildOnPartition(session, target, partition)
  if ((await readValidity(client, target)) === true) return
  throw new MigrationError('failed', `${INDEXES_FILE}: the index ${target.index} is not valid after its build.`)
}

function build(session: WorkSession, statement: Statement): Promise<void> {
  return buildIndex(session, { label: INDEXES_FILE, times: {} }, { statement, wasBegun: true })
}

/**
 * PostgreSQL builds no index of a partitioned table concurrently: the parent's is only declared, and becomes valid when that
 * of the last partition is attached.
 */
function onlyOnParent({ text }: Statement): string {
  return text.replace(/\bconcurrently\b/i, '').replace(/\bon\s+(?:only\s+)?/i, 'ON ONLY ')
}

async function buildOnPartition(session: WorkSession, target: IndexTarget, partition: Relation): Promise<void> {
  const parent = qualifiedName(target.schema, target.index)
  const child = { schema: partition.schema, index: await freeNameOn(session.client, partition, target.columns) }
  const definition = await readDefinition(session.client, parent)
  const table = qualifiedName(partition.schema, partition.table)
  const head = `INDEX CONCURRENTLY ${pg.escapeIdentifier(child.index)} ON ${table} USING `
  const [statement] = await splitStatements(definition.replace(/\bINDEX .+? ON ONLY .+? USING /, head), INDEXES_FILE)
  if (statement) await build(session, statement)
  await session.transaction(() =>
    session.client.query(`ALTER INDEX ${parent} ATTACH PARTITION ${qualifiedName(child.schema, child.index)}`),
  )
}

/** The first name that no index of another parent has: one that has it and no parent is what a build was broken off at. */
async function freeNameOn(client: pg.ClientBase, { schema, table }: Relation, columns: string[]): Promise<string> {
  for (let pass = 0; ; pass += 1) {
    const name = indexNameOn(table, columns, pass)
    if (!(await isAttached(client, qualifiedName(schema, name)))) return name
  }
}

async function isAttached(client: pg.ClientBase, index: string): Promise<boolean> {
  const text = 'SELECT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = to_regclass($1)) AS attached'
  const { rows } = await client.query<{ attached: boolean }>(text, [index])
  return rows[0]?.attached === true
}

/**
 * The name that PostgreSQL itself gives the index of a partition, so that one made later is called alike; `pass` counts the
 * indexes of the same columns that are there already.
 */
export function indexNameOn(table: string, columns: string[], pass = 0): string {
  const suffix = pass === 0 ? SUFFIX : `${SUFFIX}${pass}`
  let [first, second] = [table, columns.join('_')]
  while (first.length + 1 + second.length + suffix.length > NAME_BYTES) {
    if (first.length > second.length) first = first.slice(0, -1)
    else second = second.slice(0, -1)
  }
  return `${first}_${second}${suffix}`
}

async function isPartitioned(client: pg.ClientBase, { schema, table }: Relation): Promise<boolean> {
  const { rows } = await client.query<{ kind: string }>(
    `SELECT relkind AS kind FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
     WHERE nspname = $1 AND relname = $2`,
    [schema, table],
  )
  return rows[0]?.kind === 'p'
}

async function readDefinition(client: pg.ClientBase, index: string): Promise<string> {
  const { rows } = await client.query<{ definition: string }>('SELECT pg_get_indexdef($1::regclass) AS definition', [
    index,
  ])
  return rows[0]?.definition ?? ''
}

/** The partitions whose index is not attached to that of the parent yet. */
async function readPartitionsWithout(
  client: pg.ClientBase,
  { schema, table, index }: IndexTarget,
): Promise<Relation[]> {
  const { rows } = await client.query<Relation>(
    `SELECT nspname AS schema, relname AS table FROM pg_inherits AS part
     JOIN pg_class AS class ON class.oid = part.inhrelid JOIN pg_namespace ON pg_namespace.oid = relnamespace
     WHERE part.inhparent = format('%I.%I', $1::text, $2::text)::regclass AND NOT EXISTS (
       SELECT FROM pg_inherits AS attached JOIN pg_index ON indexrelid = attached.inhrelid
       WHERE attached.inhparent = format('%I.%I', $1::text, $3::text)::regclass AND indrelid = class.oid)
     ORDER BY nspname, relname`,
    [schema, table, index],
  )
  return rows
}
