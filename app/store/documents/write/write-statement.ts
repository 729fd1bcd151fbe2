import { randomUUIDv7 } from 'node:crypto'
import { byteaArray, int8Array, jsonbArray, textArray, timestamptzArray, uuidArray } from '../../binary-arrays.ts'
import type { Session, Statement } from '../../database.ts'
import { HASH_BYTES } from '../content/canonical.ts'
import type { CheckedDocument, Content } from '../content/content.ts'

/**
 * What the statement found for one row: `n` a new url, `d` different content, `o` equal content and a newer crawledAt (all
 * three were to be written), `u` unchanged, `s` stale, `c` the url is stored with another id, `k` the id with another url.
 */
export type Verdict = 'n' | 'd' | 'o' | 'u' | 's' | 'c' | 'k'

export type WriteReply = {
  /** One letter a row, in order; see `Verdict`. */
  verdicts: string
  inserted: number
  updated: number
  /** Rows of equal content whose newer crawledAt was noted. */
  noted: number
  /** For each `c`, in order: the id under which the url is stored. */
  stored_ids: string[] | null
  /** Positions (from 1) of rows that were to be written and were not, because another transaction was faster. */
  missed: number[] | null
}

const COLUMNS = 'id, url, host, status, crawled_at, last_modified, content_type, size, metadata, content_hash'

const SENT = `unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::timestamptz[],
    $8::text[], $9::bigint[], $10::jsonb[], $11::bytea[])`
const SENT_COLUMNS =
  'id, new_id, url, host, status, crawled_at, last_modified, content_type, size, metadata, content_hash'

// Without ON CONFLICT, whose look ahead and speculative insert are a sixth of the work. It fails where anything is in the way.
const INSERT: Statement = {
  name: 'documents_insert_new',
  text: `
INSERT INTO public.documents (${COLUMNS})
SELECT COALESCE(i.id, i.new_id), i.url, i.host, i.status, COALESCE(i.crawled_at, now()), i.last_modified,
  i.content_type, i.size, i.metadata, i.content_hash
FROM ${SENT} AS i (${SENT_COLUMNS})`,
}

/** Whether the row in the way of an insert has the content that comes; an absent status keeps the stored one. */
const SAME = `documents.content_hash = EXCLUDED.content_hash
    AND (EXCLUDED.status IS NULL OR documents.status = EXCLUDED.status)`

/** For each row `i` that is sent the document `d` that is stored under its url, if any. */
const STORED = `LEFT JOIN LATERAL (
  SELECT s.id, s.status, s.crawled_at, s.content_hash FROM public.documents AS s WHERE s.url = i.url OFFSET 0
) AS d ON true`
/** Whether that document has the content that comes; an absent status keeps the stored one. */
const HAS_CONTENT = 'd.content_hash = i.content_hash AND (i.status IS NULL OR d.status = i.status)'

// One statement reads, judges and writes, so that unchanged documents cost one index look-up each and take no lock: an
// ON CONFLICT locks every row that it meets, also those that its WHERE turns down. It still repeats the judgement in its
// WHERE, for rows that another transaction changed meanwhile. Rows come sorted by url and are judged in that order (LATERAL
// keeps the planner from any other), so that two requests lock them in the same order. Metadata of equal content is
// assigned from the stored row: a new value would be written to TOAST again.
const WRITE: Statement = {
  name: 'documents_write',
  text: `
WITH judged AS MATERIALIZED (
  SELECT i.n, i.url, i.host, i.status, i.last_modified, i.content_type, i.size, i.metadata, i.content_hash,
    COALESCE(i.id, d.id, i.new_id) AS id, COALESCE(i.crawled_at, now()) AS crawled_at, d.id AS stored_id,
    CASE
      WHEN d.id IS NULL THEN
        CASE
          WHEN i.id IS NULL OR (SELECT e.id FROM public.documents AS e WHERE e.id = i.id) IS NULL THEN 'n'
          ELSE 'k'
        END
      WHEN d.id <> i.id THEN 'c'
      WHEN ${HAS_CONTENT} THEN
        CASE WHEN d.crawled_at < COALESCE(i.crawled_at, now()) THEN 'o' ELSE 'u' END
      WHEN d.crawled_at > COALESCE(i.crawled_at, now()) THEN 's'
      ELSE 'd'
    END AS verdict
  FROM ${SENT} WITH ORDINALITY AS i (${SENT_COLUMNS}, n)
  ${STORED}
), written AS (
  INSERT INTO public.documents (${COLUMNS})
  SELECT ${COLUMNS} FROM judged WHERE verdict IN ('n', 'd', 'o')
  ON CONFLICT (url) DO UPDATE SET
    host = EXCLUDED.host,
    status = COALESCE(EXCLUDED.status, documents.status),
    crawled_at = EXCLUDED.crawled_at,
    last_modified = EXCLUDED.last_modified,
    content_type = EXCLUDED.content_type,
    size = EXCLUDED.size,
    content_hash = EXCLUDED.content_hash,
    metadata = CASE WHEN documents.content_hash = EXCLUDED.content_hash
      THEN documents.metadata ELSE EXCLUDED.metadata END,
    updated_at = CASE WHEN ${SAME} THEN documents.updated_at ELSE now() END,
    changed_xid = CASE WHEN ${SAME} THEN documents.changed_xid ELSE pg_current_xact_id() END
  WHERE documents.id = EXCLUDED.id AND CASE WHEN ${SAME}
    THEN documents.crawled_at < EXCLUDED.crawled_at ELSE documents.crawled_at <= EXCLUDED.crawled_at END
  RETURNING url, xmax = 0 AS is_new, updated_at = now() AS has_moved
), counts AS (
  SELECT count(*) AS written, count(*) FILTER (WHERE is_new) AS inserted,
    count(*) FILTER (WHERE has_moved AND NOT is_new) AS updated
  FROM written
), letters AS (
  SELECT string_agg(verdict, '' ORDER BY n) AS verdicts,
    array_agg(stored_id::text ORDER BY n) FILTER (WHERE verdict = 'c') AS stored_ids,
    count(*) FILTER (WHERE verdict IN ('n', 'd', 'o')) AS wanted
  FROM judged
)
SELECT verdicts, stored_ids, inserted, updated, written - inserted - updated AS noted,
  CASE WHEN written < wanted THEN (
    SELECT array_agg(j.n::integer ORDER BY j.n) FROM judged AS j
    WHERE j.verdict IN ('n', 'd', 'o') AND NOT EXISTS (SELECT FROM written AS w WHERE w.url = j.url)
  ) END AS missed
FROM counts, letters`,
}

// What decides whether a document is stored just as it comes, by the rules of WRITE; nothing else is sent.
const LOOK: Statement = {
  name: 'documents_look',
  text: `
SELECT string_agg(CASE
    WHEN d.id = COALESCE(i.id, d.id) AND ${HAS_CONTENT}
      AND d.crawled_at >= COALESCE(i.crawled_at, now()) THEN 'u'
    ELSE '?'
  END, '' ORDER BY i.n) AS verdicts
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[], $5::bytea[])
  WITH ORDINALITY AS i (id, url, status, crawled_at, content_hash, n)
${STORED}`,
}

/** Which documents (with different urls, sorted by url) need no write: a letter each, `u` or `?`. */
export async function findUnchanged(session: Session, documents: CheckedDocument[]): Promise<string> {
  const column = <K extends keyof CheckedDocument>(key: K) => documents.map((document) => document[key])
  const values = [
    uuidArray(column('id')),
    textArray(column('url')),
    textArray(column('status')),
    timestamptzArray(documents.map(({ content }) => content.crawledAt)),
    byteaArray(
      documents.map(({ content }) => content.hash),
      HASH_BYTES,
    ),
  ]
  return (await session.query<{ verdicts: string }>(LOOK, values)).rows[0]?.verdicts ?? ''
}

/** Documents with different urls, sorted by url, as the parameters of the two statements. */
export type EncodedRows = Buffer[]

/** Inserts rows that are all new; where one is not, nothing is written and it throws the unique violation (23505). */
export async function insertRows(session: Session, rows: EncodedRows): Promise<void> {
  await session.query(INSERT, rows)
}

/** Writes rows, judging each; what cannot be written is told by its letter. */
export async function writeRows(session: Session, rows: EncodedRows): Promise<WriteReply> {
  return (await session.query<WriteReply>(WRITE, rows)).rows[0] as WriteReply
}

/** Encodes rows, once for both statements. */
export function encodeRows(documents: CheckedDocument[]): EncodedRows {
  const column = <K extends keyof CheckedDocument>(key: K) => documents.map((document) => document[key])
  const content = <K extends keyof Content>(key: K) => documents.map((document) => document.content[key])
  return [
    uuidArray(column('id')),
    uuidArray(documents.map(() => randomUUIDv7())),
    textArray(column('url')),
    textArray(column('host')),
    textArray(column('status')),
    timestamptzArray(content('crawledAt')),
    timestamptzArray(content('lastModified')),
    textArray(content('contentType')),
    int8Array(content('size')),
    jsonbArray(content('metadata')),
    byteaArray(content('hash'), HASH_BYTES),
  ]
}
