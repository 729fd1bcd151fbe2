import { randomUUIDv7 } from 'node:crypto'
import { int8Array, jsonbArray, textArray, timestamptzArray, uuidArray } from '../../binary-arrays.ts'
import type { Session } from '../../database.ts'
import type { QueueDefinition } from '../definition/catalog.ts'
import { rowId } from '../item/item-id.ts'
import { isWanted, rowsOf, wanted } from '../stale-figures.ts'
import { TableStatements } from '../table.ts'
import type { NewItem, PushOutcome } from '../types.ts'

const MICROS = 1_000_000

/** An item on its way into the table: `row` is the id of its row. */
type Entry = { item: NewItem; id: string; row: string }

/**
 * Puts items into a queue within a session: on its own, or in the caller's transaction. One outcome an item, in order. An
 * id that the queue keeps already, or that comes twice, is `duplicate`; with `unlessStored` an item whose `payload.url` is
 * a stored document is `stored` and not pushed. Throws what `isMoved` knows where the queue is no longer in its table.
 */
export async function pushWithin(
  session: Session,
  definition: QueueDefinition,
  items: NewItem[],
  options: { unlessStored?: boolean } = {},
): Promise<PushOutcome[]> {
  const stored = options.unlessStored ? await storedUrls(session, items) : undefined
  const entries = items.map((item) => toEntry(definition.name, item))
  const isStored = ({ item }: Entry) => item.url !== undefined && stored?.has(item.url) === true
  const chosen = firstOfEach(stored ? entries.filter((entry) => !isStored(entry)) : entries)
  const created = await insert(session, definition, chosen)
  const isCreated = (entry: Entry) => chosen.get(entry.row) === entry && (created === 'all' || created.has(entry.row))
  const late = stored ? await removeStored(session, definition, [...chosen.values()].filter(isCreated)) : undefined
  return entries.map((entry) => {
    if (isStored(entry) || (late?.has(entry.row) && isCreated(entry))) return { id: entry.id, result: 'stored' }
    return { id: entry.id, result: isCreated(entry) ? 'created' : 'duplicate' }
  })
}

// Between the look at the documents and the insert another worker may have stored the page and settled its item: then the
// id was free again. The page was stored before, so a look after the insert sees it.
const STORED = wanted(
  'made.id',
  `${rowsOf('$2::uuid[]', '$3::text[]')} AS made (id, url) JOIN public.documents AS d ON d.url = made.url`,
)
const REMOVE_STORED = new TableStatements(
  'queue_push_late',
  (table) => `
DELETE FROM ${table} AS j USING ${STORED} AS late WHERE ${isWanted('late')} RETURNING j.id`,
)

/** Takes those of the items that were just inserted out again whose page is stored by now; answers their rows. */
async function removeStored(session: Session, definition: QueueDefinition, made: Entry[]): Promise<Set<string>> {
  const entries = made.filter(({ item }) => item.url !== undefined)
  if (entries.length === 0) return new Set()
  const values = [definition.name, entries.map(({ row }) => row), entries.map(({ item }) => item.url)]
  const { rows } = await session.query<{ id: string }>(REMOVE_STORED.for(definition), values)
  return new Set(rows.map(({ id }) => id))
}

const STORED_URLS = {
  name: 'queue_push_stored',
  text: 'SELECT d.url FROM unnest($1::text[]) AS wanted (url) JOIN public.documents AS d ON d.url = wanted.url',
}

// Items are inserted in the order of their rows' ids, so that two pushes of the same ids cannot deadlock, and take their
// place by `n`. A time in the past is now, which is since when the item has been ready. A host's row is looked at before it is
// written: even an ON CONFLICT that changes nothing locks it, and all pushes of that host would queue up behind each other; by a scalar subquery, which is one descent of the index, whatever
// the planner believes about a table that was never analyzed. NOTIFY takes a lock on the whole database at commit: only where
// somebody waits.
const pushText = (onConflict: string) => (table: string) =>
  `
WITH pushed AS (
  INSERT INTO ${table} (id, name, priority, data, retry_limit, expire_seconds, deletion_seconds, singleton_key, group_id,
    start_after, created_on, keep_until, policy)
  SELECT row_id, $1, priority, payload, 2147483647, 2147483647, 0, key, host, due,
    statement_timestamp() + n * interval '1 microsecond',
    CASE WHEN $2::integer IS NULL THEN 'infinity' ELSE GREATEST(due, now()) + $2 * interval '1 second' END, 'standard'
  FROM (
    SELECT *, GREATEST(available_at, statement_timestamp() + COALESCE(delay, 0) * interval '1 microsecond') AS due
    FROM unnest($5::uuid[], $6::text[], $7::bigint[], $8::jsonb[], $9::text[], $10::bigint[], $11::timestamptz[])
      WITH ORDINALITY AS x (row_id, key, priority, payload, host, delay, available_at, n)
  ) AS items
  ORDER BY row_id
  ${onConflict}
  RETURNING id
), hosts AS (
  INSERT INTO storage.queue_host (queue, host)
  SELECT $1, wanted.host
  FROM unnest($3::text[]) AS wanted (host)
  WHERE (
    SELECT known.pushed_at >= now() - interval '1 hour' FROM storage.queue_host AS known
    WHERE known.queue = $1 AND known.host = wanted.host
  ) IS NOT TRUE
  ON CONFLICT (queue, host) DO UPDATE SET pushed_at = now() WHERE queue_host.pushed_at < now() - interval '1 hour'
)
SELECT
  (SELECT CASE WHEN count(*) < $4 THEN COALESCE(string_agg(id::text, ','), '') END FROM pushed) AS created,
  (SELECT pg_notify('storage_queue', $1)
   WHERE EXISTS (SELECT FROM storage.queue_waiter WHERE queue = $1 AND until > now())
     AND EXISTS (SELECT FROM pushed)) AS notified`

const PUSH = new TableStatements('queue_push', pushText('ON CONFLICT (name, id) DO NOTHING'))
// An id that was just made meets no other, and looking for one is a tenth of what a push costs PostgreSQL.
const PUSH_NEW = new TableStatements('queue_push_new', pushText(''), 'queue_push')

/** Which rows were inserted; nearly always all of them, and then they are not listed. */
async function insert(
  session: Session,
  definition: QueueDefinition,
  chosen: Map<string, Entry>,
): Promise<Set<string> | 'all'> {
  if (chosen.size === 0) return 'all'
  const entries = [...chosen.values()]
  const values = [definition.name, definition.maxAgeSeconds, hostsOf(chosen), chosen.size, ...encodeRows(entries)]
  const statements = entries.every(({ item }) => item.id === undefined) ? PUSH_NEW : PUSH
  const result = await session.query<{ created: string | null }>(statements.for(definition), values)
  const created = result.rows[0]?.created
  return typeof created === 'string' ? new Set(created.split(',')) : 'all'
}

function toEntry(queue: string, item: NewItem): Entry {
  const id = item.id ?? randomUUIDv7()
  return { item, id, row: item.id === undefined ? id : rowId(queue, id) }
}

/** By row id, in order of arrival; the first of several with the same id stays. */
function firstOfEach(entries: Entry[]): Map<string, Entry> {
  const chosen = new Map<string, Entry>()
  for (const entry of entries) {
    if (!chosen.has(entry.row)) chosen.set(entry.row, entry)
  }
  return chosen
}

/** The columns of the rows; one in which there is nothing is left out, and then null in every row. */
function encodeRows(entries: Entry[]): Buffer[] {
  const items = entries.map(({ item }) => item)
  const keys = entries.map(({ id, row }) => (id === row ? null : id))
  return [
    uuidArray(entries.map(({ row }) => row)),
    textArray(orNone(keys)),
    int8Array(items.map(({ priority }) => priority)),
    jsonbArray(items.map(({ payloadJson }) => payloadJson)),
    textArray(orNone(items.map(({ group = null }) => group))),
    int8Array(orNone(items.map(({ delaySeconds }) => (delaySeconds ? Math.round(delaySeconds * MICROS) : null)))),
    timestamptzArray(orNone(items.map(({ availableAt = null }) => availableAt))),
  ]
}

function orNone<T>(values: (T | null)[]): (T | null)[] {
  return values.some((value) => value !== null) ? values : []
}

/** Sorted, so that two pushes take the hosts' rows in the same order. */
function hostsOf(chosen: Map<string, Entry>): string[] {
  const hosts = new Set<string>()
  for (const { item } of chosen.values()) {
    if (item.group !== undefined) hosts.add(item.group)
  }
  return [...hosts].sort()
}

async function storedUrls(session: Session, items: NewItem[]): Promise<Set<string>> {
  const urls = new Set<string>()
  for (const { url } of items) {
    if (url !== undefined) urls.add(url)
  }
  if (urls.size === 0) return urls
  const { rows } = await session.query<{ url: string }>(STORED_URLS, [[...urls]])
  return new Set(rows.map((row) => row.url))
}
