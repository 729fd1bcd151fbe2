import { type ItemError, Problem } from '../../../errors.ts'
import { parseOwn } from '../../../json/exact.ts'
import { checkJson, checkKeys, isItemError, isObject, itemError, type RawObject } from '../../check.ts'
import type { Database, Session, Statement } from '../../database.ts'
import { type Content, checkContent, checkStatus, type DocumentLimits, metadataField } from '../content/content.ts'
import {
  documentJson,
  entityTag,
  HASHED_COLUMNS,
  type HashedRow,
  hashOf,
  metadataJson,
  timeOf,
} from '../content/document-json.ts'
import type { FoundDocument } from '../read/get.ts'
import { checkMatch } from './conditions.ts'
import { lockDocument } from './lock.ts'
import { mergePatch } from './merge-patch.ts'

/** One merge patch: of which document, what, and only if it still has one of these tags. */
export type PatchRequest = { id: string; patch: RawObject; ifMatch: string | undefined }

const KEYS = new Set(['id', 'url', 'status', 'metadata', 'host', 'createdAt', 'updatedAt'])

// The content moves updated_at, a crawledAt alone does not.
const UPDATE: Statement = {
  name: 'documents_patch',
  text: `UPDATE public.documents SET status = $2, crawled_at = COALESCE($3::timestamptz, now()), last_modified = $4,
    content_type = $5, size = $6, metadata = $7::jsonb, content_hash = decode($8, 'hex'),
    updated_at = CASE WHEN $9::boolean THEN now() ELSE updated_at END,
    changed_xid = CASE WHEN $9::boolean THEN pg_current_xact_id() ELSE changed_xid END
  WHERE id = $1 RETURNING ${HASHED_COLUMNS}`,
}

type Patched = { status: string | null; content: Content }

/**
 * Applies a JSON merge patch (RFC 7396) to the status and metadata of a document, and answers the document as it is then.
 * `not_found`, `precondition_failed`, and `unprocessable` for a change of id or url and for content that is not allowed.
 */
export function patchDocument(
  database: Database,
  limits: DocumentLimits,
  request: PatchRequest,
): Promise<FoundDocument> {
  checkShape(request.patch, limits)
  return database.transaction(async (session) => {
    const row = await lockDocument(session, request.id)
    checkMatch(request.ifMatch, entityTag(row))
    checkIdentity(row, request.patch)
    const after = await save(session, row, apply(row, request.patch, limits))
    return { json: documentJson(after), tag: entityTag(after) }
  })
}

function checkShape(patch: RawObject, limits: DocumentLimits): void {
  const { metadata } = patch
  const isMergeable = metadata === undefined || metadata === null || isObject(metadata)
  const wrongType = isMergeable ? undefined : itemError('invalid_type', 'metadata must be an object or null.')
  refuse(checkKeys(patch, KEYS))
  refuse(checkStatus(patch.status), '/status')
  refuse(wrongType ?? checkJson(metadata, metadataField(limits)), '/metadata')
}

function refuse(fault: ItemError | undefined, pointer?: string): void {
  if (fault !== undefined) throw unprocessable(fault, pointer)
}

/** The id and url may be sent back, as they are. */
function checkIdentity(row: HashedRow, { id, url }: RawObject): void {
  const isSameId = id === undefined || (typeof id === 'string' && id.toLowerCase() === row.id)
  if (!isSameId) throw unprocessable(itemError('invalid_id', 'The id of a document never changes.'), '/id')
  if (url === undefined || url === row.url) return
  throw unprocessable(itemError('invalid_url', 'The url of a document never changes.'), '/url')
}

function apply(row: HashedRow, patch: RawObject, limits: DocumentLimits): Patched {
  const before = parseOwn(metadataJson(row)) as RawObject
  const merged = mergePatch({ status: row.status, metadata: before }, patch)
  const content = checkContent(merged.metadata ?? {}, limits)
  if (isItemError(content)) throw unprocessable(content, '/metadata')
  return { status: (merged.status as string | undefined) ?? null, content }
}

async function save(session: Session, row: HashedRow, { status, content }: Patched): Promise<HashedRow> {
  const isSame = row.status === status && (row.hash ?? hashOf(row)) === content.hash
  if (isSame && row.hash !== null && content.crawledAt === timeOf(row.crawled_at)) return row
  const { crawledAt, lastModified, contentType, size, metadata, hash } = content
  const values = [row.id, status, crawledAt, lastModified, contentType, size, metadata, hash, !isSame]
  return (await session.query<HashedRow>(UPDATE, values)).rows[0] as HashedRow
}

function unprocessable({ code, message }: ItemError, pointer = ''): Problem {
  return new Problem('unprocessable', message, { errors: [{ pointer, code, detail: message }] })
}
