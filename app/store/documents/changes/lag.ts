import type { Session, Statement } from '../../database.ts'
import { HORIZON } from './state.ts'

/** A session, or a prepared transaction, that is open and keeps later changes from being shown. */
export type Holder = { pid: string; application: string; state: string }

/** For how long the oldest change that is committed and not shown waits, 0 where there is none, and for whom. */
export type ChangeLag = { seconds: number; holder: Holder | undefined }

const LAG: Statement = {
  name: 'documents_changes_lag',
  text: `
WITH held AS MATERIALIZED (
  SELECT LEAST(
    (SELECT updated_at FROM public.documents WHERE changed_xid >= ${HORIZON} ORDER BY changed_xid, id LIMIT 1),
    (SELECT deleted_at FROM storage.document_deletion WHERE changed_xid >= ${HORIZON} ORDER BY changed_xid, id LIMIT 1)
  ) AS since
), holder AS (
  SELECT pid::text, application_name AS application, state FROM pg_stat_activity WHERE backend_xid = ${HORIZON}::xid
  UNION ALL
  SELECT '', gid, 'prepared' FROM pg_prepared_xacts WHERE transaction = ${HORIZON}::xid
)
SELECT GREATEST(0, extract(epoch FROM clock_timestamp() - since))::float8 AS seconds, pid, application, state
FROM held LEFT JOIN holder ON true WHERE since IS NOT NULL LIMIT 1`,
}

type Row = { seconds: number; pid: string | null; application: string | null; state: string | null }

/** Looks at what is held back. Sessions of other roles are known only to a member of pg_read_all_stats. */
export async function readLag(session: Session): Promise<ChangeLag> {
  const [row] = (await session.query<Row>(LAG)).rows
  if (row === undefined) return { seconds: 0, holder: undefined }
  const { seconds, pid, application, state } = row
  return { seconds, holder: { pid: pid ?? '', application: application ?? 'unknown', state: state ?? 'unknown' } }
}
