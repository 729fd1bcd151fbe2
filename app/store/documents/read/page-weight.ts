const SMALL_BYTES = 1_000
// A large value is compressed or stored elsewhere, and its size in the row says nothing.
const isSmall = (bytes: number) => `pg_column_size(metadata) <= ${bytes} AND pg_column_compression(metadata) IS NULL`

/**
 * SQL for the rows of `source` with `bytes_before`: how much metadata, as text, the rows before each one have, in that order.
 * Where it reaches the bytes of a page it has to end.
 */
export function withBytesBefore(source: string, order: string): string {
  return `(
    SELECT *, sum(weight) OVER (ORDER BY ${order} ROWS UNBOUNDED PRECEDING) - weight AS bytes_before
    FROM (SELECT *, octet_length(metadata::text) AS weight FROM (${source}) AS page) AS weighed
  ) AS documents`
}

/** Turns the metadata column of a select list into null where it is large: it takes more than `bytes`, or is compressed. */
export function metadataIfSmall(columns: string, bytes = SMALL_BYTES): string {
  return columns.replace('metadata::text', `CASE WHEN ${isSmall(bytes)} THEN metadata::text END AS metadata`)
}
