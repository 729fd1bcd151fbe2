import type { Session } from '../../database.ts'
import type { QueueDefinition } from '../definition/catalog.ts'
import type { Delivery } from '../item/receipt.ts'
import { isWanted, rowsOf, wanted } from '../stale-figures.ts'
import { TableStatements } from '../table.ts'
import { moveDead } from './dead-letter.ts'

/** A delivery to be settled, and the receipt that it came with. `seconds`: the new lease of an extend; the delay of a nack, null for the queue's own. */
export type Settle = { delivery: Delivery; receipt: string; seconds?: number | null; reason?: string | null }

/**
 * Whether the receipt still held. `leaseMicros` is the new end of an extended lease, in microseconds since 1970; `isDead`:
 * given back once too often.
 */
export type Settled = { held: boolean; leaseMicros?: number; isDead?: boolean }

// A receipt holds while its delivery is the row's last one and its lease has not passed. The state is compared as text, so that no
// index of leased items serves: there may be any number of them.
const HELD = `${isWanted('r')} AND j.state::text = 'active' AND j.start_after > now()
  AND j.started_on = 'epoch'::timestamptz + r.started * interval '1 microsecond'`
/** `$2` to `$4` of each statement, and the columns that it has besides, as the table `r`. */
const receipts = (...more: [array: string, name: string][]) => {
  const arrays = rowsOf('$2::uuid[]', '$3::bigint[]', '$4::integer[]', ...more.map(([array]) => array))
  return `${wanted('*', `${arrays} AS given (${['id', 'started', 'n', ...more.map(([, name]) => name)].join()})`)} AS r`
}

const ACK = new TableStatements(
  'queue_ack',
  (table) => `
WITH held AS (
  DELETE FROM ${table} AS j USING ${receipts()} WHERE ${HELD} RETURNING r.n
)
SELECT string_agg(n::text, ',') AS held FROM held`,
)

const ACK_KEPT = new TableStatements(
  'queue_ack_kept',
  (table) => `
WITH held AS (
  UPDATE ${table} AS j SET state = 'completed', completed_on = now()
  FROM ${receipts()} WHERE ${HELD} RETURNING r.n
)
SELECT string_agg(n::text, ',') AS held FROM held`,
)

const EXTEND = new TableStatements(
  'queue_extend',
  (table) => `
UPDATE ${table} AS j SET start_after = clock_timestamp() + r.seconds * interval '1 second'
FROM ${receipts(['$5::integer[]', 'seconds'])}
WHERE ${HELD}
RETURNING r.n, (extract(epoch FROM j.start_after) * 1000000)::bigint AS until`,
)

// $7 retry limit, $8 delay, $9 back-off: each delivery doubles the delay (from a second at least), up to a day.
const DELAY = `COALESCE(r.delay, CASE
    WHEN $9::boolean
    THEN GREATEST($8::double precision, LEAST(86400, GREATEST($8, 1) * 2 ^ LEAST(j.retry_count, 17)))
    ELSE $8 END)`
const IS_DEAD = '$7::integer IS NOT NULL AND j.retry_count >= $7'

const NACK = new TableStatements(
  'queue_nack',
  (table) => `
WITH held AS (
  UPDATE ${table} AS j SET
    state = CASE WHEN ${IS_DEAD} THEN 'failed' ELSE 'retry' END::pgboss.job_state,
    start_after = CASE WHEN ${IS_DEAD} THEN now() ELSE now() + ${DELAY} * interval '1 second' END,
    completed_on = CASE WHEN ${IS_DEAD} THEN now() END,
    output = CASE WHEN r.reason IS NOT NULL THEN jsonb_build_object('reason', r.reason) END
  FROM ${receipts(['$5::double precision[]', 'delay'], ['$6::text[]', 'reason'])}
  WHERE ${HELD}
  RETURNING r.n, j.state = 'failed' AS dead
)
SELECT string_agg(n::text, ',') AS held, string_agg(n::text, ',') FILTER (WHERE dead) AS dead,
  (SELECT pg_notify('storage_queue', $1)
   WHERE EXISTS (SELECT FROM storage.queue_waiter WHERE queue = $1 AND until > now())) AS notified
FROM held`,
)

/** Removes what was done (or keeps its id as done, where the queue says so). */
export async function ackRows(session: Session, definition: QueueDefinition, settles: Settle[]): Promise<Settled[]> {
  const statements = definition.keepDoneSeconds > 0 ? ACK_KEPT : ACK
  const values = identity(definition, inOrder(settles))
  const { rows } = await session.query<{ held: string | null }>(statements.for(definition), values)
  const held = numbers(rows[0]?.held)
  return settles.map((_, n) => ({ held: held.has(n) }))
}

/** Gives each lease a new end, counted from now. Of a receipt that comes twice, the last counts. */
export async function extendRows(session: Session, definition: QueueDefinition, settles: Settle[]): Promise<Settled[]> {
  const last = new Map(settles.map((settle, n) => [keyOf(settle), n]))
  const ordered = inOrder(settles).filter(({ settle, n }) => last.get(keyOf(settle)) === n)
  const values = [...identity(definition, ordered), ordered.map(({ settle }) => settle.seconds)]
  const { rows } = await session.query<{ n: number; until: number }>(EXTEND.for(definition), values)
  const until = new Map(rows.map((row) => [row.n, row.until]))
  return settles.map((settle) => {
    const leaseMicros = until.get(last.get(keyOf(settle)) as number)
    return { held: leaseMicros !== undefined, leaseMicros }
  })
}

/**
 * Gives items back, each in its old place, after its delay. Those past the queue's retry limit move to its dead letter
 * queue, or stay as failed where there is none. `session` must be a transaction where `deadLetter` is given.
 */
export async function nackRows(
  session: Session,
  definition: QueueDefinition,
  settles: Settle[],
  deadLetter?: QueueDefinition,
): Promise<Settled[]> {
  const { rows } = await session.query<NackRow>(NACK.for(definition), nackValues(definition, inOrder(settles)))
  const dead = numbers(rows[0]?.dead)
  if (deadLetter && dead.size > 0) {
    const deliveries = settles.filter((_, n) => dead.has(n)).map((settle) => settle.delivery)
    await moveDead(session, { from: definition, to: deadLetter }, deliveries)
  }
  const held = numbers(rows[0]?.held)
  return settles.map((_, n) => ({ held: held.has(n), isDead: dead.has(n) }))
}

type NackRow = { held: string | null; dead: string | null }
type Ordered = { settle: Settle; n: number }

/** In the order of the rows' ids, so that two settles of the same items take their locks in the same order. */
function inOrder(settles: Settle[]): Ordered[] {
  const ordered = settles.map((settle, n) => ({ settle, n }))
  if (ordered.length === 1) return ordered
  return ordered.sort((a, b) => (a.settle.delivery.rowId < b.settle.delivery.rowId ? -1 : 1))
}

function keyOf({ delivery }: Settle): string {
  return `${delivery.rowId}/${delivery.startedMicros}`
}

/** $1 to $4 of each statement. */
function identity(definition: QueueDefinition, ordered: Ordered[]): unknown[] {
  const ids = ordered.map(({ settle }) => settle.delivery.rowId)
  const started = ordered.map(({ settle }) => settle.delivery.startedMicros)
  return [definition.name, `{${ids.join()}}`, `{${started.join()}}`, `{${ordered.map(({ n }) => n).join()}}`]
}

function nackValues(definition: QueueDefinition, ordered: Ordered[]): unknown[] {
  const { retryLimit, retryDelaySeconds, retryBackoff } = definition
  const delays = ordered.map(({ settle }) => settle.seconds ?? null)
  const reasons = ordered.map(({ settle }) => settle.reason ?? null)
  return [...identity(definition, ordered), delays, reasons, retryLimit, retryDelaySeconds, retryBackoff]
}

function numbers(list: string | null | undefined): Set<number> {
  return new Set(list?.split(',').map(Number))
}
