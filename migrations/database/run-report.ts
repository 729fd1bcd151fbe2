import type pg from 'pg'
import { hasHistory } from './history.ts'

/** What a task did, as it is kept in the database: `code` is `ok` or why it failed. */
export type RunReport = { kind: string; startedAt: Date; code: string; report: object }

const KEPT = 100

/** Keeps a report, and the hundred newest of its kind; nothing happens in a database where no run got as far as its tables. */
export async function recordRunReport(
  client: pg.ClientBase,
  { kind, startedAt, code, report }: RunReport,
): Promise<void> {
  if (!(await hasHistory(client))) return
  await client.query('INSERT INTO storage.run_report (kind, started_at, code, report) VALUES ($1, $2, $3, $4)', [
    ...[kind, startedAt, code],
    JSON.stringify(report),
  ])
  await client.query(
    `DELETE FROM storage.run_report WHERE kind = $1 AND id <=
       (SELECT id FROM storage.run_report WHERE kind = $1 ORDER BY id DESC OFFSET $2 LIMIT 1)`,
    [kind, KEPT],
  )
}
