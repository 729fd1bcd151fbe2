import { mostBytes, PICK, shown } from '../../fitting.ts'

/**
 * A statement for the first documents of `source`, in its order, that fit into an answer. `bytes` and `least` are parameters:
 * how much metadata they may have, how many come anyway. There is one row at least, see `toRead`.
 */
export function fittingDocuments(
  columns: string,
  { source, bytes, least }: { source: string; bytes: string; least: string },
): string {
  const weigh = (id: string) => `SELECT octet_length(w.metadata::text) FROM public.documents AS w WHERE w.id = ${id}`
  return `WITH RECURSIVE page AS MATERIALIZED (SELECT *, ${mostBytes('metadata')} AS most FROM (${source}) AS found),
${PICK.fitted({ weigh, source: 'page', bytes, least })}
SELECT ${columns}, is_cut FROM picked LEFT JOIN ${shown('page')} AS documents ON true ORDER BY n`
}
