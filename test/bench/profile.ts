/** What `--profile` adds: the statements of each turn with their cost. */
import type { Turn } from './case.ts'

const RESET = 'SELECT pg_stat_statements_reset()'
const TOP = `SELECT round(total_exec_time)::integer AS ms, calls::integer, rows::integer,
    round((wal_bytes / 1024)::numeric)::integer AS wal_kib, (shared_blks_hit + shared_blks_read)::integer AS blocks,
    regexp_replace(left(query, 160), '\\s+', ' ', 'g') AS query
  FROM pg_stat_statements
  WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND query NOT ILIKE '%pg_stat_statements%'
  ORDER BY total_exec_time DESC LIMIT 12`

type StatementRow = { ms: number; calls: number; rows: number; wal_kib: number; blocks: number; query: string }

/** Begins to count the statements of a turn. */
export async function resetStatements({ bench, side }: Turn): Promise<void> {
  if (bench.options.profileFolder !== undefined) await bench.postgres.query(side, RESET)
}

/** Prints the statements that took the most time in the turn. */
export async function printStatements({ bench, side }: Turn): Promise<void> {
  if (bench.options.profileFolder === undefined) return
  for (const row of await bench.postgres.query<StatementRow>(side, TOP)) {
    const { ms, calls, rows, wal_kib, blocks, query } = row
    bench.options.log(
      `    ${side} ${ms} ms, ${calls} calls, ${rows} rows, ${wal_kib} KiB WAL, ${blocks} blocks: ${query}`,
    )
  }
}
