import pg from 'pg'

const TIMESTAMPTZ = 1184

/** Times stay text: a Date for each one would triple the cost of an export, and no baseline shall be slow for that. */
export function keepTimesAsText(): void {
  pg.types.setTypeParser(TIMESTAMPTZ, (text) => text)
}
