import type { Session } from '../database.ts'
import type { QueueDefinition } from './catalog.ts'
import { newId, rowId } from './item-id.ts'
import { TableStatements } from './table.ts'
import type { NewItem, PushOutcome } from './types.ts'

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
const REMOVE_STORED = new TableStatements(
  'queue_push_late',
  (table) => `
DELETE FROM ${table} AS j
USING unnest($2::uuid[], $3::text[]) AS made (id, url) JOIN public.documents AS d ON d.url = made.url
WHERE j.name = $1 AND j.id = made.id
RETURNING j.id`,
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
// place by `n`. A host's row is looked at before it is written: even an ON CONFLICT that changes nothing locks it, and all
// pushes of that host would queue up behind each other. NOTIFY takes a lock on the whole database at commit: only where
// somebody waits.
const PUSH = new TableStatements(
  'queue_push',
  (table) => `
WITH pushed AS (
  INSERT INTO ${table} (id, name, priority, data, retry_limit, expire_seconds, deletion_seconds, singleton_key, group_id,
    start_after, created_on, keep_until, policy)
  SELECT i, $1, p, d, 2147483647, 2147483647, 0, COALESCE(k, i::text), g, due, statement_timestamp() + n * interval '1 microsecond',
    CASE WHEN $3::integer IS NULL THEN 'infinity' ELSE GREATEST(due, now()) + $3 * interval '1 second' END, 'standard'
  FROM (
    SELECT *, COALESCE(a, statement_timestamp() + COALESCE(w, 0) * interval '1 second') AS due
    FROM json_to_recordset($2::json)
      AS x (n integer, i uuid, k text, p integer, d jsonb, w double precision, a timestamptz, g text)
  ) AS items
  ORDER BY i
  ON CONFLICT (name, id) DO NOTHING
  RETURNING id
), hosts AS (
  INSERT INTO storage.queue_host (queue, host)
  SELECT $1, wanted.host
  FROM unnest($4::text[]) AS wanted (host)
  WHERE NOT EXISTS (
    SELECT FROM storage.queue_host AS known
    WHERE known.queue = $1 AND known.host = wanted.host AND known.pushed_at >= now() - interval '1 hour'
  )
  ON CONFLICT (queue, host) DO UPDATE SET pushed_at = now() WHERE queue_host.pushed_at < now() - interval '1 hour'
)
SELECT
  (SELECT CASE WHEN count(*) < $5 THEN COALESCE(string_agg(id::text, ','), '') END FROM pushed) AS created,
  (SELECT pg_notify('storage_queue', $1)
   WHERE EXISTS (SELECT FROM storage.queue_waiter WHERE queue = $1 AND until > now())
     AND EXISTS (SELECT FROM pushed)) AS notified`,
)

/** Which rows were inserted; nearly always all of them, and then they are not listed. */
async function insert(
  session: Session,
  definition: QueueDefinition,
  chosen: Map<string, Entry>,
): Promise<Set<string> | 'all'> {
  if (chosen.size === 0) return 'all'
  const rows = Array.from(chosen.values(), toJson)
  const values = [definition.name, `[${rows.join()}]`, definition.maxAgeSeconds, hostsOf(chosen), chosen.size]
  const result = await session.query<{ created: string | null }>(PUSH.for(definition), values)
  const created = result.rows[0]?.created
  return typeof created === 'string' ? new Set(created.split(',')) : 'all'
}

function toEntry(queue: string, item: NewItem): Entry {
  const id = item.id ?? newId()
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

function toJson({ item, id, row }: Entry, n: number): string {
  const due = item.delaySeconds === undefined ? '' : `,"w":${item.delaySeconds}`
  const at = item.availableAt === undefined ? '' : `,"a":"${item.availableAt}"`
  const group = item.group === undefined ? '' : `,"g":${JSON.stringify(item.group)}`
  const key = id === row ? '' : `,"k":${JSON.stringify(id)}`
  return `{"i":"${row}","n":${n},"p":${item.priority},"d":${item.payloadJson}${key}${due}${at}${group}}`
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
