import type { Session, Statement } from '../../database.ts'
import type { Xid } from './cursor.ts'

/** SQL: the timeline that is written now. The control file would still name the one before for a while after a fail-over. */
export const TIMELINE = `('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint`

/** SQL: every transaction before this one has ended; what it and later ones changed is not shown yet. */
export const HORIZON = 'pg_snapshot_xmin(pg_current_snapshot())'

/** SQL: whether there are changes that are committed and not shown yet. */
export const IS_HELD_BACK = `(
    EXISTS (SELECT FROM public.documents WHERE changed_xid >= ${HORIZON})
    OR EXISTS (SELECT FROM storage.document_deletion WHERE changed_xid >= ${HORIZON}))`

/** The newest transaction that is known of a timeline: none of it and before it was lost. */
export type KnownTimeline = { timeline: number; xid: Xid }

/** What the database says of the feed at one moment. */
export type FeedState = {
  /** Differs for each database, each copy of one, and each restored state. */
  life: string
  timeline: number
  timelines: KnownTimeline[]
  /** Every transaction before it has ended. */
  horizon: Xid
  /** The next one that begins has at least this number. */
  next: Xid
  /** Deletions up to here are not told any more. */
  expired: Xid
  /** There are changes that are committed, and come once a transaction that began before them has ended. */
  isHeldBack: boolean
}

const STATE: Statement = {
  name: 'documents_changes_state',
  text: `
SELECT left(encode(sha256(convert_to(concat_ws(' ', life, system_identifier, oid), 'UTF8')), 'hex'), 16) AS life,
  ${TIMELINE} AS timeline, ${HORIZON}::text AS horizon, pg_snapshot_xmax(pg_current_snapshot())::text AS next,
  expired_xid::text AS expired, ${IS_HELD_BACK} AS "isHeldBack", COALESCE((
    SELECT json_agg(json_build_object('timeline', t.timeline, 'xid', t.known_xid::text)) FROM storage.change_timeline AS t
  ), '[]') AS timelines
FROM storage.change_feed, pg_control_system(), pg_database
WHERE datname = current_database()`,
}

/** Reads the state. It has to be read before the changes that a cursor with its timeline will tell of. */
export async function readState(session: Session): Promise<FeedState> {
  return (await session.query<FeedState>(STATE)).rows[0] as FeedState
}
