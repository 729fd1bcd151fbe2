import { LIMITS } from '../contract.ts'

/** Bytes that one of a text may take in JSON, as `\u0061` does. */
const ESCAPED = 6
/** What is around the one large part of a body. */
const ROOM = 65_536

/** A body with a few options. */
export const OPTIONS_BYTES = ROOM
/** A pop or peek: options, and items that a client of the original may send and nobody looks at. */
export const TAKE_BYTES = 1_048_576
/** As many urls as a look-up may have, each as long as it may be. */
export const LOOKUP_BYTES = LIMITS.lookupIds * (LIMITS.urlBytes * ESCAPED + 4) + ROOM
/** As many UUIDs as a delete may have. */
export const DELETE_BYTES = LIMITS.deleteIds * (36 * ESCAPED + 4) + ROOM

/** A merge patch of metadata of so many bytes. */
export function patchBytes(metadataBytes: number): number {
  return metadataBytes * ESCAPED + ROOM
}
