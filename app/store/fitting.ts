import type { Read } from './answer-room.ts'
import { OF_QUEUE } from './queue/stale-figures.ts'

// How many bytes a jsonb has as text, PostgreSQL knows only after it has fetched, unpacked and printed it. So that is done
// where it can matter alone, and ends with the first row that is too much.

/** Bytes of text for each byte of an unpacked jsonb, at most: 1e308 takes twelve, and is printed with 309 digits. */
const MOST_EXPANSION = 32

/** SQL: most bytes that a jsonb column has as text, without fetching it; infinite where it is compressed. */
export function mostBytes(column: string): string {
  return `CASE WHEN pg_column_compression(${column}) IS NULL
    THEN COALESCE(pg_column_size(${column}), 1) * '${MOST_EXPANSION}'::float8 ELSE 'infinity' END`
}

/** SQL: a payload as JSON text, also of a row without one, which others may have made. */
export const PAYLOAD_TEXT = `COALESCE(data::text, 'null')`

/**
 * How rows are chosen that are not too much together. `gated`: all of them, or none where they might be; costs next to
 * nothing. `fitted`: the first ones that are not; weighs them where that is in doubt.
 */
export type Form = 'gated' | 'fitted'

/**
 * Of the rows of `source`; `bytes` and `least` are parameters: how much they may be, how many come anyway. `weigh` is a query
 * for the bytes that the row with an id has as text.
 */
export type Fitting = { source: string; bytes: string; least: string; weigh: (id: string) => string }

/** Weighs the payloads of a queue, $1, in its table: one look-up by the primary key, whatever PostgreSQL knows about the queue. */
export function weighIn(table: string): Fitting['weigh'] {
  return (id) => `SELECT octet_length(j.data::text) FROM ${table} AS j WHERE j.${OF_QUEUE} AND j.id = ${id}`
}

/**
 * SQL of table expressions (of a WITH RECURSIVE) after `source`, which has the `id` of rows in their order, and as `most` what
 * `mostBytes` says of them. The last one is `picked`, one row: the `ids` that are chosen, the instant `at`, and
 * whether any was left out (`is_cut`).
 */
export const PICK: Record<Form, (fitting: Fitting) => string> = {
  gated: ({ source, bytes, least }) => `
offered AS MATERIALIZED (
  SELECT array_agg(id) AS ids, sum(most) > ${bytes}::float8 AND ${least}::integer = 0 AS is_cut, clock_timestamp() AS at
  FROM ${source}
), picked AS MATERIALIZED (SELECT at, CASE WHEN NOT is_cut THEN ids END AS ids, is_cut FROM offered)`,

  fitted: ({ source, bytes, least, weigh }) => `
offered AS MATERIALIZED (
  SELECT array_agg(id) AS ids, sum(most) AS most, clock_timestamp() AS at FROM ${source}
), weighed (n, bytes) AS (
  SELECT 0, 0::float8
  UNION ALL
  SELECT n + 1, bytes + COALESCE((${weigh('(SELECT ids FROM offered)[n + 1]')}), 4)
  FROM weighed WHERE bytes <= ${bytes}::float8 AND n < cardinality((SELECT ids FROM offered))
), fitted AS MATERIALIZED (
  SELECT at, ids AS all_ids, CASE WHEN most <= ${bytes} THEN ids ELSE ids[1:(
    SELECT GREATEST(${least}::integer, max(n)) FROM weighed WHERE bytes <= ${bytes}
  )] END AS ids
  FROM offered
), picked AS MATERIALIZED (
  SELECT at, ids, cardinality(ids) < cardinality(all_ids) AS is_cut FROM fitted
)`,
}

/** SQL of a table of the rows of `source`, in their order, that were `picked`, as `n` says. */
export function shown(source: string): string {
  return `(SELECT *, row_number() OVER () AS n FROM ${source} LIMIT (SELECT COALESCE(cardinality(ids), 0) FROM picked))`
}

/** A row of an answer that has one row at least: without an id where nothing was chosen. */
export type Answered<Row> = (Row | { id: null }) & { is_cut: boolean | null }

/** Tells the rows that were chosen from the one that says that there were none. */
export function toRead<Row extends { id: string }>(rows: Answered<Row>[]): Read<Row> {
  const isCut = rows[0]?.is_cut === true
  return { rows: rows[0]?.id === null ? [] : (rows as (Row & { is_cut: boolean })[]), isCut }
}

/** What the payloads of rows make up, in bytes. */
export function bytesOf(rows: { data: string }[]): number {
  let bytes = 0
  for (const { data } of rows) bytes += Buffer.byteLength(data)
  return bytes
}
