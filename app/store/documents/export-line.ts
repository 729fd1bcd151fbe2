/** One row of an export page. Times are JSON texts in UTC, without zone and without trailing zeros. */
export type ExportRow = {
  id: string
  url: string
  host: string | null
  status: string | null
  content_type: string | null
  size: number | null
  crawled_at: string
  last_modified: string | null
  created_at: string
  updated_at: string
  metadata: string
}

const SECONDS_LENGTH = '"2026-01-31T12:00:00'.length

/** Renders a row as the line of its document, its end included. */
export function exportLine(row: ExportRow): string {
  const { id, url, host, status, metadata } = row
  const rest = metadata === '{}' ? '' : `${metadata.slice(1, -1)},`
  return `{"id":"${id}","url":${JSON.stringify(url)},"host":${JSON.stringify(host)},"status":${JSON.stringify(status)},"metadata":{${rest}"crawledAt":${time(row.crawled_at)},"lastModified":${time(row.last_modified)},"contentType":${JSON.stringify(row.content_type)},"size":${row.size}},"createdAt":${time(row.created_at)},"updatedAt":${time(row.updated_at)}}\n`
}

/** PostgreSQL's JSON text of a timestamp as RFC 3339 with six digits. */
function time(json: string | null): string {
  if (json === null) return 'null'
  return `${json.slice(0, SECONDS_LENGTH)}.${json.slice(SECONDS_LENGTH + 1, -1).padEnd(6, '0')}Z"`
}
