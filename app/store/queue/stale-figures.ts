// A queue that was filled at once has no items yet as far as PostgreSQL knows, until its table is analyzed. Then every index on
// the name seems as good as any other, also one by which the whole queue is read, or sorted, for a single item. What is here
// keeps PostgreSQL from planning by what it believes about one queue.

const QUEUE = '(SELECT $1::text)'

/**
 * SQL: a condition that an item is in the queue $1, for reading in the order of the index of what is ready: the name has to be
 * the first column of ORDER BY. PostgreSQL expects a fixed share of the table, whatever its figures are.
 */
export const IN_QUEUE = `name >= ${QUEUE} AND name <= ${QUEUE}`

/**
 * SQL: a condition that an item has this name, for an index that serves the other conditions, too: where they are ordered by,
 * the name has to be the first column of ORDER BY. Given twice, it seems to fetch two items at least by an index that serves
 * nothing but the name, so that it loses against one that fetches what is wanted.
 */
export function isNamed(name: string): string {
  return `name = ANY (ARRAY[${name}, ${name}])`
}

/** `isNamed` of the queue $1. */
export const OF_QUEUE = isNamed(QUEUE)

/** SQL: a number for LIMIT. PostgreSQL expects a tenth of all rows, so that it never sorts; and it does not plan anew for each number. */
export function limitOf(count: string): string {
  return `(SELECT ${count}::bigint)`
}

/**
 * SQL: the rows of `source` with the `columns`, one of them `id`, and as `queue` the name $1. Items `j` that are joined to it
 * by `isWanted` are looked up one by one by the primary key; for that, no further condition may be one that an index is made for.
 */
export function wanted(columns: string, source: string): string {
  return `(SELECT $1::text AS queue, ${columns} FROM ${source} OFFSET 0)`
}

/** SQL: that the item `j` is the one of a row of `wanted`. Not simply "=", by which whole tables can be joined, too. */
export function isWanted(row: string): string {
  return `j.${isNamed(`${row}.queue`)} AND j.id = ANY (ARRAY[${row}.id])`
}

/** SQL: the rows of parallel arrays. PostgreSQL expects ten, however many there are. */
export function rowsOf(...arrays: string[]): string {
  return `unnest(${arrays.map((array) => `(SELECT ${array})`).join(', ')})`
}
