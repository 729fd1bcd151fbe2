import { normalHost } from '../../url-host.ts'

/** The media type of a document, in SQL: the same words as in the index `documents_media_type_idx`, or it is not used. */
export const MEDIA_TYPE = `translate(lower(btrim(split_part(content_type, ';', 1), E' \\t')), ' ', '+')`

/** What each filter of a list, an export or the change feed compares, with `?` for its value; times are UTC texts. */
export const CONDITIONS = {
  status: 'status = ?',
  host: 'host = ?',
  contentType: `${MEDIA_TYPE} = ?`,
  updatedAfter: 'updated_at >= ?::timestamptz',
  updatedBefore: 'updated_at < ?::timestamptz',
  crawledBefore: 'crawled_at < ?::timestamptz',
} as const

type Filters = { host?: string | undefined; contentType?: string | undefined }

/** Filters as they are compared: a host as hosts are stored, and of a content type the media type alone. */
export function normalFilters<F extends Filters>(filters: F): F {
  const { host, contentType } = filters
  return {
    ...filters,
    ...(host !== undefined && { host: normalHost(host) }),
    ...(contentType !== undefined && { contentType: mediaTypeOf(contentType) }),
  }
}

/** What `MEDIA_TYPE` makes of a content type. A space inside it was a `+` on its way through a query. */
export function mediaTypeOf(contentType: string): string {
  const [type = ''] = contentType.split(';', 1)
  const letters = trimmed(type).replaceAll(' ', '+')
  return letters.replace(/[A-Z]+/g, (upper) => upper.toLowerCase())
}

function trimmed(text: string): string {
  let [start, end] = [0, text.length]
  while (isBlank(text[start])) start += 1
  while (end > start && isBlank(text[end - 1])) end -= 1
  return text.slice(start, end)
}

function isBlank(character: string | undefined): boolean {
  return character === ' ' || character === '\t'
}
