import { MigrationError } from '../errors.ts'
import { partsOf, type Statement } from './statements.ts'

/** The file that they stand in, as messages name it. */
export const INDEXES_FILE = 'repeatable/indexes.sql'

/** A table and its schema, unquoted. */
export type Relation = { schema: string; table: string }
/** The index that a statement of that file makes. */
export type IndexTarget = Relation & { index: string; columns: string[] }

/** Throws `bad_file` for anything but CREATE INDEX CONCURRENTLY IF NOT EXISTS with a name, on a table with its schema. */
export function checkRepeatableIndexes(statements: Statement[]): void {
  for (const statement of statements) targetOf(statement)
}

/** Which index a statement makes; throws `bad_file` as the check does. */
export function targetOf(statement: Statement): IndexTarget {
  const parts = partsOf(statement, 'IndexStmt')
  const { schemaname, relname } = (parts?.relation ?? {}) as { schemaname?: string; relname?: string }
  const index = parts?.idxname
  const isSafe = parts?.concurrent === true && parts.if_not_exists === true
  if (isSafe && typeof index === 'string' && schemaname !== undefined && relname !== undefined) {
    return { schema: schemaname, table: relname, index, columns: columnsOf(parts?.indexParams) }
  }
  const what = 'CREATE INDEX CONCURRENTLY IF NOT EXISTS name ON schema.table'
  throw new MigrationError('bad_file', `${INDEXES_FILE} line ${statement.line}: only ${what} may stand here.`)
}

function columnsOf(elements: unknown): string[] {
  const items = (elements ?? []) as { IndexElem?: { name?: string } }[]
  return items.map((item) => item.IndexElem?.name ?? 'expr')
}
