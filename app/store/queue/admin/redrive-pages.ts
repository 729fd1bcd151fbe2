import type { Session } from '../../database.ts'
import { timeText } from '../../time.ts'
import type { QueueDefinition } from '../definition/definition.ts'
import { TableStatements } from '../table.ts'

/** Where a redrive has come to among the letters. */
export type Place = { time: string; id: string }

/** Rows that are brought back together, oldest first: where in the table they are, as an array of tid, and the last one. */
export type Page = Place & { rows: string; count: number }

/** Rows of a page at most, and of all pages that are read at a time. */
export const PAGE = 1_000
export const PORTION = 40_000

export const START: Place = { time: '-infinity', id: '00000000-0000-0000-0000-000000000000' }

// With figures that are out of date PostgreSQL sorts the whole queue for the oldest rows. So that is asked for many pages
// at once, and the rows are found again by where they are, which needs no plan.
const pagesText = (oldest: string) => `
SELECT array_agg(tid ORDER BY n)::text AS rows, count(*) AS count, ${timeText('max(created_on)')} AS time,
  (array_agg(id ORDER BY n DESC))[1] AS id
FROM (SELECT *, row_number() OVER () - 1 AS n FROM (${oldest} LIMIT ${PORTION}) AS oldest) AS numbered
GROUP BY n / ${PAGE} ORDER BY n / ${PAGE}`

const FAILED = new TableStatements('queue_redrive_failed_pages', (table) =>
  pagesText(`SELECT ctid AS tid, created_on, id FROM ${table} WHERE name = $1 AND state = 'failed' AND NOT blocked
  ORDER BY start_after, created_on`),
)

// The dead letters of all queues are read by age: no index knows whose they are.
const LETTERS = new TableStatements('queue_redrive_letter_pages', (table) =>
  pagesText(`SELECT ctid AS tid, created_on, id FROM ${table} WHERE name = $1 AND created_on >= $2::timestamptz
    AND (created_on > $2 OR id > $3::uuid)
  ORDER BY created_on, id`),
)

/**
 * SQL that finds rows of a page, an array of tid, unless they have changed since. No index may serve this or what is asked beside
 * it: PostgreSQL would read the whole queue by that where it believes the queue to be small.
 */
export function onPage(page: string): string {
  return `ctid = ANY (${page}::tid[]) AND name || '' = $1`
}

/** The next pages of what a queue keeps as failed, the longest failed first. */
export async function failedPages(session: Session, definition: QueueDefinition): Promise<Page[]> {
  return (await session.query<Page>(FAILED.for(definition), [definition.name])).rows
}

/** The next pages of a dead letter queue behind a place, oldest first. */
export async function letterPages(session: Session, definition: QueueDefinition, after: Place): Promise<Page[]> {
  return (await session.query<Page>(LETTERS.for(definition), [definition.name, after.time, after.id])).rows
}

/** Whether there may be more rows than these pages have. */
export function mayGoOn(pages: Page[]): boolean {
  return pages.reduce((rows, { count }) => rows + count, 0) === PORTION
}
