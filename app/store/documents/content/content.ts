import type { ItemError } from '../../../errors.ts'
import { plainNumber } from '../../../json/numbers.ts'
import {
  checkEncoded,
  checkInteger,
  checkKeys,
  checkOptionalTime,
  checkShape,
  checkText,
  isItemError,
  isObject,
  isUuid,
  itemError,
  type JsonField,
  type RawObject,
  shown,
} from '../../check.ts'
import { HOST_LENGTH, hostOf, isHostTooLong } from '../../url-host.ts'
import { type CanonicalJson, canonicalJson, contentHash } from './canonical.ts'

/** Limits of one document that can be configured. */
export type DocumentLimits = {
  /** Most bytes of the encoded metadata, the four named fields left out. */
  metadataBytes: number
  /** Deepest nesting of the metadata; the metadata object itself is 1. */
  jsonDepth: number
}

/** A document that the database will take, as it is written. Times are UTC text with six digits. */
export type CheckedDocument = {
  /** The caller's id in lower case; null where none was given. */
  id: string | null
  url: string
  host: string | null
  /** Null keeps the stored status. */
  status: string | null
  content: Content
}

/** What the metadata of a document says: the four named fields, everything else as canonical JSON, and their hash. */
export type Content = {
  /** Null is the time of receipt. */
  crawledAt: string | null
  lastModified: string | null
  contentType: string | null
  size: number | null
  metadata: string
  /** Hexadecimal; see `contentHash`. */
  hash: string
}

// A btree entry ends at 2,704 bytes: what is indexed has to stay below it, whatever it compresses to.
const URL_FIELD = { name: 'url', minBytes: 1, maxBytes: 2_048 }
const HOST_BYTES = 1_024
const STATUS_FIELD = { name: 'status', maxBytes: 1_024 }
const CONTENT_TYPE_FIELD = { name: 'metadata.contentType', maxBytes: 1_024 }
const SIZE_FIELD = { name: 'metadata.size', min: 0, max: Number.MAX_SAFE_INTEGER }
const KEYS = new Set(['id', 'url', 'status', 'metadata', 'host', 'createdAt', 'updatedAt'])
/** The fields of `metadata` that are columns. */
export const NAMED: ReadonlySet<string> = new Set(['crawledAt', 'lastModified', 'contentType', 'size'])
const NO_METADATA: RawObject = {}

/** Checks one document as a caller sent it; `null` is the same as absent, the read-only fields are ignored. */
export function checkDocument(raw: unknown, limits: DocumentLimits): CheckedDocument | ItemError {
  if (!isObject(raw)) return itemError('invalid_type', 'A document must be an object.')
  const fault = checkKeys(raw, KEYS) ?? checkId(raw.id) ?? checkStatus(raw.status) ?? checkText(raw.url, URL_FIELD)
  if (fault !== undefined) return fault
  const url = raw.url as string
  if (isHostTooLong(url)) return hostTooLong()
  const host = hostOf(url) ?? null
  const urlFault = checkUrl(url, host)
  if (urlFault !== undefined) return urlFault
  const content = checkContent(raw.metadata ?? NO_METADATA, limits)
  if (isItemError(content)) return content
  return { id: textOrNull(raw.id)?.toLowerCase() ?? null, url, host, status: textOrNull(raw.status), content }
}

/** Checks a status; null and undefined are fine. */
export function checkStatus(status: unknown): ItemError | undefined {
  return status === undefined || status === null ? undefined : checkText(status, STATUS_FIELD)
}

/** Checks a `metadata` object, takes the four named fields out of it, and hashes what counts as content. */
export function checkContent(raw: unknown, limits: DocumentLimits): Content | ItemError {
  if (!isObject(raw)) return itemError('invalid_type', 'metadata must be an object.')
  const contentType = raw.contentType ?? null
  const size = plainNumber(raw.size ?? null)
  const fault = checkNamed(contentType, size)
  if (fault !== undefined) return fault
  const crawledAt = checkOptionalTime(raw.crawledAt, 'metadata.crawledAt')
  if (isItemError(crawledAt)) return crawledAt
  const lastModified = checkOptionalTime(raw.lastModified, 'metadata.lastModified')
  if (isItemError(lastModified)) return lastModified
  const metadata = encodeRest(raw, limits)
  if (isItemError(metadata)) return metadata
  const { written, equal } = metadata
  const content = { crawledAt, lastModified, contentType, size, metadata: written, hash: '' } as Content
  content.hash = contentHash(content, equal)
  return content
}

function checkNamed(contentType: unknown, size: unknown): ItemError | undefined {
  const fault = contentType === null ? undefined : checkText(contentType, CONTENT_TYPE_FIELD)
  return fault ?? (size === null ? undefined : checkInteger(size, SIZE_FIELD))
}

function encodeRest(raw: RawObject, limits: DocumentLimits): CanonicalJson | ItemError {
  const field = metadataField(limits)
  const fault = checkShape(raw, field)
  if (fault !== undefined) return fault
  const encoded = canonicalJson(raw, NAMED)
  const text = checkEncoded(encoded.written, raw, field)
  return typeof text === 'string' ? encoded : text
}

/** The metadata as the field that checks of JSON speak of. */
export function metadataField(limits: DocumentLimits): JsonField {
  return {
    name: 'metadata',
    maxBytes: limits.metadataBytes,
    maxDepth: limits.jsonDepth,
    tooLarge: 'metadata_too_large',
  }
}

function checkUrl(url: string, host: string | null): ItemError | undefined {
  if (host === null && !URL.canParse(url)) return itemError('invalid_url', `The url ${shown(url)} is not absolute.`)
  if (host === null || host.length <= HOST_BYTES) return undefined
  return itemError('invalid_url', `The host of the url is longer than ${HOST_BYTES} bytes.`)
}

function hostTooLong(): ItemError {
  return itemError('invalid_url', `The host of the url is longer than ${HOST_LENGTH} characters.`)
}

function checkId(id: unknown): ItemError | undefined {
  if (id === undefined || id === null || isUuid(id)) return undefined
  if (typeof id !== 'string') return itemError('invalid_id', 'id must be a string.')
  return itemError('invalid_id', `The id ${shown(id)} is no UUID.`)
}

function textOrNull(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}
