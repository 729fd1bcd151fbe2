import { setFlagsFromString } from 'node:v8'
import type { Node } from 'libpg-query'
import { MigrationError } from '../errors.ts'

/** One statement of a file: its text without the comments before it, the line it begins on, and what PostgreSQL's parser made of it. */
export type Statement = { text: string; line: number; node: Node }

type Parsed = { stmts?: { stmt?: Node; stmt_location?: number; stmt_len?: number }[] }

/** Splits SQL into its statements with PostgreSQL's own parser; `label` names the file in the error of a text that is no SQL. */
export async function splitStatements(sql: string, label: string): Promise<Statement[]> {
  const bytes = Buffer.from(sql)
  const parsed = await parseSql(sql, label)
  return (parsed.stmts ?? []).map(({ stmt, stmt_location = 0, stmt_len }) => {
    const end = stmt_len === undefined ? bytes.length : stmt_location + stmt_len
    const before = bytes.subarray(0, stmt_location).toString()
    const whole = bytes.subarray(stmt_location, end).toString()
    const text = whole.replace(LEADING, '')
    const line = `${before}${whole.slice(0, whole.length - text.length)}`.split('\n').length
    return { text: text.trimEnd(), line, node: stmt as Node }
  })
}

const NO_OPTIMIZING = ['--liftoff-only', '--no-wasm-tier-up', '--no-wasm-dynamic-tiering']

// White space and comments before the first word of a statement.
const LEADING = /^(?:\s+|--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/)*/

/** The parser is one huge function of WebAssembly: V8 takes 550 MB to optimize it, and a Job has less. */
async function loadParser(): Promise<(sql: string) => Promise<unknown>> {
  for (const flag of NO_OPTIMIZING) setFlagsFromString(flag)
  return (await import('libpg-query')).parse
}

async function parseSql(sql: string, label: string): Promise<Parsed> {
  try {
    return (await (
      await loadParser()
    )(sql)) as Parsed
  } catch (error) {
    const { sqlDetails } = error as { sqlDetails?: { cursorPosition?: number } }
    const position = sqlDetails?.cursorPosition ?? 0
    const line = sql.slice(0, position).split('\n').length
    throw new MigrationError('bad_file', `${label} is no SQL at line ${line}: ${(error as Error).message}.`)
  }
}

/** The kind of a statement as the parser calls it, such as `IndexStmt`. */
export function kindOf({ node }: Statement): string {
  return Object.keys(node)[0] ?? ''
}

/** The parser's record of a statement of that kind; undefined where it is of another. */
export function partsOf(statement: Statement, kind: string): Record<string, unknown> | undefined {
  return (statement.node as unknown as Record<string, Record<string, unknown>>)[kind]
}

/** Whether PostgreSQL refuses the statement inside a transaction block. */
export function needsNoTransaction(statement: Statement): boolean {
  const kind = kindOf(statement)
  if (['VacuumStmt', 'AlterSystemStmt', 'CreatedbStmt', 'DropdbStmt', 'CreateTableSpaceStmt'].includes(kind))
    return true
  if (kind === 'ReindexStmt') return /\bconcurrently\b/i.test(statement.text)
  if (kind === 'AlterTableStmt') return /\bdetach\s+partition\b.*\bconcurrently\b/is.test(statement.text)
  return partsOf(statement, kind)?.concurrent === true
}
