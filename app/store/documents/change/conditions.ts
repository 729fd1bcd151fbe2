import { Problem } from '../../../errors.ts'

/** The conditional headers of a request, as they came. */
export type Conditions = { ifMatch?: string | undefined; ifNoneMatch?: string | undefined }

const TAG = /(W\/)?("[\x21\x23-\x7e\x80-\xff]*")/g

/** Whether `If-None-Match` names the tag (weak comparison, RFC 9110): the caller has the document already. */
export function isKnown(ifNoneMatch: string | undefined, tag: string): boolean {
  if (ifNoneMatch === undefined) return false
  return ifNoneMatch.trim() === '*' || tagsOf(ifNoneMatch).some((match) => match[2] === tag)
}

/** Throws `precondition_failed` where `If-Match` is given and does not name the tag (strong comparison). */
export function checkMatch(ifMatch: string | undefined, tag: string): void {
  if (ifMatch === undefined || ifMatch.trim() === '*') return
  if (tagsOf(ifMatch).some((match) => match[1] === undefined && match[2] === tag)) return
  throw new Problem('precondition_failed', 'The document is not the one that If-Match names: it has changed.')
}

function tagsOf(header: string): RegExpExecArray[] {
  return [...header.matchAll(TAG)]
}
