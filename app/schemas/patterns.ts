import { LIMITS } from '../contract.ts'

const FIELD = ' *(id|url|host|status|metadata|createdAt|updatedAt) *'

/** The name of a queue. */
export const QUEUE_NAME_PATTERN = `^[A-Za-z0-9][A-Za-z0-9_.-]{0,${LIMITS.queueNameLength - 1}}$`

/** Parts of a document, separated by commas. */
export const FIELDS_PATTERN = `^${FIELD}(,${FIELD})*$`

/** A text that PostgreSQL can compare: it has none with NUL. */
export const TEXT_PATTERN = '^[^\\u0000]*$'

/** What each pattern takes, for people. */
export const PATTERN_WORDS: Record<string, string> = {
  [QUEUE_NAME_PATTERN]: `a queue name: 1 to ${LIMITS.queueNameLength} letters, digits and _ - . beginning with a letter or digit`,
  [FIELDS_PATTERN]: 'names with commas between them, of id, url, host, status, metadata, createdAt and updatedAt',
  [TEXT_PATTERN]: 'a text without NUL',
}
