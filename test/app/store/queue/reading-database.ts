import { Database, type Session } from '../../../../app/store/database.ts'

/** A node of a plan as EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) writes it. */
export type Plan = {
  'Node Type': string
  'Relation Name'?: string
  'Actual Rows': number
  'Actual Loops': number
  'Rows Removed by Filter'?: number
  'Rows Removed by Join Filter'?: number
  'Shared Hit Blocks': number
  'Shared Read Blocks': number
  Plans?: Plan[]
}

/** Rows of tables of items that were read, or written, or compared with others, and blocks of any table or index. */
export type Reads = { rows: number; blocks: number }

const ITEM_TABLE = /^(job_common|j[0-9a-f]{56})$/
/** A whole table costs as much as if it were a hundred times as large: one of a test's size would be read at once. */
const LARGE = 'SET LOCAL seq_page_cost = 100'

/** Runs each statement once without effect before, to see what it reads. */
export class ReadingDatabase extends Database {
  #reads: Reads = { rows: 0, blocks: 0 }
  /** Names of the statements, in order. */
  names: (string | undefined)[] = []

  /** What was read since it was asked last. */
  takeReads(): Reads {
    const reads = this.#reads
    this.#reads = { rows: 0, blocks: 0 }
    this.names = []
    return reads
  }

  override query<R>(...[statement, values]: Parameters<Database['query']>) {
    return this.transaction((session) => session.query<R>(statement, values))
  }

  override transaction<T>(work: (session: Session) => Promise<T>): Promise<T> {
    return super.transaction(async (session) => {
      await session.query({ text: LARGE })
      const query: Session['query'] = async (statement, values) => {
        this.names.push(statement.name)
        await session.query({ text: 'SAVEPOINT before' })
        const text = `EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) ${statement.text}`
        const { rows } = await session.query<{ 'QUERY PLAN': [{ Plan: Plan }] }>({ text }, values)
        for (const row of rows) this.#note(row['QUERY PLAN'][0].Plan)
        await session.query({ text: 'ROLLBACK TO SAVEPOINT before' })
        return session.query(statement, values)
      }
      return work({ query })
    })
  }

  #note(plan: Plan): void {
    this.#reads.blocks += plan['Shared Hit Blocks'] + plan['Shared Read Blocks']
    for (const node of nodes(plan)) this.#reads.rows += rowsRead(node)
  }
}

function nodes(plan: Plan): Plan[] {
  return [plan, ...(plan.Plans ?? []).flatMap(nodes)]
}

/** Rows of the table of items that a node reads, and pairs of rows that it compares. */
function rowsRead(node: Plan): number {
  const { 'Rows Removed by Filter': filtered = 0, 'Rows Removed by Join Filter': compared = 0 } = node
  const read = ITEM_TABLE.test(node['Relation Name'] ?? '') ? node['Actual Rows'] + filtered : 0
  return (read + compared) * node['Actual Loops']
}
