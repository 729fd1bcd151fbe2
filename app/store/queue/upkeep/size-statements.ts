import { TableStatements } from '../table.ts'
import { countText } from './sizes.ts'

// The row that says from when on somebody may count again, in milliseconds since 1970; no queue can be called so.
const MARK = ''
const NOW_MS = '(extract(epoch FROM clock_timestamp()) * 1000)::bigint'

/** The figures that are stored, and how old each is. */
export const READ = {
  name: 'queue_size_read',
  text: `SELECT queue, waiting, is_estimate AS "isEstimate",
      (extract(epoch FROM clock_timestamp() - counted_at) * 1000)::double precision AS "ageMs"
    FROM storage.queue_size WHERE queue <> '${MARK}'`,
}

/** Answers a row where it is this replica's turn to count: for a minute, unless it says before how long the rest is. */
export const CLAIM = {
  name: 'queue_size_claim',
  text: `INSERT INTO storage.queue_size AS s (queue, waiting, is_estimate, counted_at)
    VALUES ('${MARK}', ${NOW_MS} + 60000, false, now())
    ON CONFLICT (queue) DO UPDATE SET waiting = EXCLUDED.waiting WHERE s.waiting <= ${NOW_MS}
    RETURNING 1 AS claimed`,
}

/** What makes the figures of `queue_size`: what was never given out, and what came back. */
export const STATES = [`state = 'created' AND NOT blocked`, `state = 'retry' AND NOT blocked`]

/** Counts the queues $1 of a table, $2 items of each kind at most. */
// Names are pgboss.queue's, because storage.queue has another collation, which the index cannot serve.
export const COUNT = new TableStatements('queue_size_count', (table) => {
  const counts = STATES.map((state) => countText(table, `name = boss.name AND ${state}`))
  return `SELECT boss.name AS queue, ${counts.join(' + ')} AS waiting
    FROM pgboss.queue AS boss WHERE boss.name = ANY ($1::text[])`
})

/** Stores figures, and that nobody counts for the next $4 milliseconds; forgets queues that are gone. */
export const STORE = {
  name: 'queue_size_store',
  text: `
WITH gone AS (
  DELETE FROM storage.queue_size AS s
  WHERE s.queue <> '${MARK}' AND NOT EXISTS (SELECT FROM storage.queue WHERE name = s.queue)
), rest AS (
  UPDATE storage.queue_size SET waiting = ${NOW_MS} + $4::bigint WHERE queue = '${MARK}'
)
INSERT INTO storage.queue_size AS s (queue, waiting, is_estimate, counted_at)
SELECT c.queue, c.waiting, c.is_estimate, clock_timestamp()
FROM unnest($1::text[], $2::bigint[], $3::boolean[]) AS c (queue, waiting, is_estimate)
WHERE EXISTS (SELECT FROM storage.queue WHERE name = c.queue)
ON CONFLICT (queue) DO UPDATE
SET waiting = EXCLUDED.waiting, is_estimate = EXCLUDED.is_estimate, counted_at = EXCLUDED.counted_at`,
}
