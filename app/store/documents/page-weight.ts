/** Most bytes of metadata in one answer: documents may be 256 KiB each, and an answer is made in memory. */
export const LARGEST_ANSWER_BYTES = 32 * 1_048_576

// The length of the metadata as text: a large value is compressed or stored elsewhere, and its size in the row says
// nothing. Small ones, nearly all, are not rendered for it.
const IS_SMALL = 'pg_column_size(metadata) <= 1000 AND pg_column_compression(metadata) IS NULL'
const WEIGHT = `CASE WHEN ${IS_SMALL} THEN pg_column_size(metadata) ELSE octet_length(metadata::text) END`

/**
 * SQL for the rows of `source` with `bytes_before`: how much metadata the rows before each one have, in that order. Where it
 * reaches `LARGEST_ANSWER_BYTES` the answer has to end.
 */
export function withBytesBefore(source: string, order: string): string {
  return `(
    SELECT *, sum(weight) OVER (ORDER BY ${order} ROWS UNBOUNDED PRECEDING) - weight AS bytes_before
    FROM (SELECT *, ${WEIGHT} AS weight FROM (${source}) AS page) AS weighed
  ) AS documents`
}

/** Turns the metadata column of a select list into null where the answer has to end. */
export function metadataWithin(columns: string): string {
  return columns.replace(
    'metadata::text',
    `CASE WHEN bytes_before < ${LARGEST_ANSWER_BYTES} THEN metadata::text END AS metadata`,
  )
}

/** Turns the metadata column of a select list into null where it is large. */
export function metadataIfSmall(columns: string): string {
  return columns.replace('metadata::text', `CASE WHEN ${IS_SMALL} THEN metadata::text END AS metadata`)
}
