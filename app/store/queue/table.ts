import type { Statement } from '../database.ts'
import { errorCode } from '../database-errors.ts'

// pg-boss's shared table, or a queue's own partition. Nothing else ever becomes part of SQL text.
const TABLE = /^(job_common|j[0-9a-f]{56})$/
// 23514: the row no longer belongs into this table; 23503: the queue is gone; 42P01: its partition is gone.
const MOVED = new Set(['23514', '23503', '42P01'])

/** How often a queue is looked for anew: somebody may delete it again and again, each time between the look and the work. */
export const MAX_MOVES = 10

/** Whether an error says that a queue is not (or no longer) in the table where it was looked for. */
export function isMoved(error: unknown): boolean {
  return MOVED.has(errorCode(error) ?? '')
}

/** The qualified name of a queue's table. Throws on anything that pg-boss does not name so. */
export function tableOf(definition: { tableName: string }): string {
  if (!TABLE.test(definition.tableName)) throw new Error(`"${definition.tableName}" is no table of a queue`)
  return `pgboss.${definition.tableName}`
}

/**
 * One operation's statement for each table, made when first used. The shared table's is named after the operation, that
 * of a partition has a few digits of the partition added (PostgreSQL tells names apart by their first 63 bytes). All of them
 * have the same label, which is shared by operations that differ in a number only.
 */
export class TableStatements {
  readonly #operation: string
  readonly #text: (table: string) => string
  readonly #label: string
  readonly #made = new Map<string, Statement>()

  constructor(operation: string, text: (table: string) => string, label = operation) {
    this.#operation = operation
    this.#text = text
    this.#label = label
  }

  /** The statement for the table of a queue. */
  for(definition: { tableName: string }): Statement {
    const known = this.#made.get(definition.tableName)
    if (known) return known
    const { tableName } = definition
    const statement = { name: this.#name(tableName), label: this.#label, text: this.#text(tableOf(definition)) }
    this.#made.set(tableName, statement)
    return statement
  }

  #name(tableName: string): string {
    return tableName === 'job_common' ? this.#operation : `${this.#operation}@${tableName.slice(0, 21)}`
  }
}
