import { ITEM_ERRORS, type ItemErrorCode, Problem, type ProblemEntry } from '../../../errors.ts'
import { isItemError } from '../../check.ts'
import type { Database } from '../../database.ts'
import { isDataError } from '../../database-errors.ts'
import { checkElements } from '../../elements.ts'
import { isMoved, MAX_MOVES } from '../../queue/table.ts'
import { checkDocument, type DocumentLimits, metadataField } from '../content/content.ts'
import type { Enqueue, Enqueued } from './enqueue.ts'
import type { Novelty } from './novelty.ts'
import type { Sent } from './repeats.ts'
import type { Failure, Summary, Tally } from './tally.ts'
import { DocumentWriter, separately, together, type WriteScope, withSavepoints } from './writer.ts'

/** One entry of `errors` in the answer to a POST; `id` is the one that was sent, if any. */
export type DocumentError = {
  id: string | null
  error: string
  index: number
  code: ItemErrorCode
  retryable: boolean
  storedId?: string
}

/** The answer to a POST of documents: `stored + failed` are all that were sent. */
export type WriteOutcome = {
  stored: number
  failed: number
  errors: DocumentError[]
  summary: Summary
  enqueued: Enqueued
}

/** A write of one request: `strict` stores all or nothing; with `enqueue` documents and items commit together. */
export type WriteRequest = { documents: unknown[]; strict: boolean; enqueue: Enqueue | undefined }

const NOTHING_ENQUEUED: Enqueued = { created: 0, duplicate: 0, stored: 0, invalid: 0, errors: [] }

type Checked = { sent: Sent[]; failures: Failure[]; ids: (string | null)[] }
type Written = { tally: Tally; enqueued: Enqueued }

/** What every write works with. */
export type WriteParts = { database: Database; limits: DocumentLimits; novelty: Novelty }

/** Checks and writes the documents of one request. Throws `strict_failed` with one entry for each bad item. */
export async function writeRequest(parts: WriteParts, request: WriteRequest): Promise<WriteOutcome> {
  const { strict, enqueue } = request
  const checked = await checkAll(request.documents, parts.limits)
  await enqueue?.check()
  await enqueue?.prepare()
  const isAtomic = strict || enqueue !== undefined
  const written = isAtomic ? await writeAtomically(parts, request, checked) : await writeApart(parts, checked)
  enqueue?.committed(written.enqueued)
  return toOutcome(checked, written)
}

async function checkAll(documents: unknown[], limits: DocumentLimits): Promise<Checked> {
  const { results, ids } = await checkElements(documents, metadataField(limits), (raw) => checkDocument(raw, limits))
  const checked: Checked = { sent: [], failures: [], ids }
  for (const [index, document] of results.entries()) {
    if (isItemError(document)) checked.failures.push({ index, error: document })
    else checked.sent.push({ index, document })
  }
  return checked
}

/** A transaction for each chunk. */
async function writeApart({ database, novelty }: WriteParts, { sent }: Checked): Promise<Written> {
  const writer = new DocumentWriter(separately(database), novelty)
  await writer.write(sent)
  return { tally: writer.tally, enqueued: NOTHING_ENQUEUED }
}

/**
 * One transaction for everything. Again where a try shows what it did not expect: a value that PostgreSQL turns down (it is
 * then looked for), or a queue that has moved to another table, or is gone.
 */
async function writeAtomically(parts: WriteParts, request: WriteRequest, checked: Checked): Promise<Written> {
  for (let tries = 0; ; tries += 1) {
    try {
      return await parts.database.transaction((session) => {
        const scope = tries === 0 ? together(session) : withSavepoints(session)
        return writeWithin(new DocumentWriter(scope, parts.novelty), scope, request, checked)
      })
    } catch (error) {
      const mayPass = isMoved(error) ? tries < MAX_MOVES : isDataError(error) && tries === 0
      if (!mayPass) throw refusal(error)
    }
    await request.enqueue?.findAgain()
  }
}

/** Documents that PostgreSQL turns down are told apart by savepoints; what is left is an item. */
function refusal(error: unknown): unknown {
  if (!isDataError(error)) return error
  return new Problem('unprocessable', 'The database does not accept one of the items to enqueue.', { cause: error })
}

async function writeWithin(
  writer: DocumentWriter,
  { session }: WriteScope,
  { enqueue, strict }: WriteRequest,
  checked: Checked,
): Promise<Written> {
  await writer.write(checked.sent)
  if (strict) refuseBad([...checked.failures, ...writer.tally.failures], enqueue)
  const enqueued = (await enqueue?.push(session)) ?? NOTHING_ENQUEUED
  return { tally: writer.tally, enqueued }
}

/** Ends a strict request, and with it its transaction, unless everything is right. */
function refuseBad(failures: Failure[], enqueue: Enqueue | undefined): void {
  const documents = failures.toSorted(byIndex).map(({ index, error: { code, message } }): ProblemEntry => {
    return { pointer: `/documents/${index}`, code, detail: message }
  })
  const items = enqueue?.errors.map((invalid): ProblemEntry => {
    return { pointer: `/enqueue/${invalid.enqueue}/items/${invalid.index}`, code: invalid.code, detail: invalid.error }
  })
  const errors = [...documents, ...(items ?? [])]
  if (errors.length === 0) return
  throw new Problem('strict_failed', `Nothing was stored: ${errors.length} of the items cannot be stored.`, { errors })
}

function toOutcome({ failures, ids }: Checked, { tally, enqueued }: Written): WriteOutcome {
  const all = [...failures, ...tally.failures].sort(byIndex)
  const errors = all.map((failure) => toDocumentError(ids[failure.index] ?? null, failure))
  return { stored: tally.stored, failed: errors.length, errors, summary: tally.summary, enqueued }
}

function toDocumentError(id: string | null, { index, error }: Failure): DocumentError {
  const { code, message, storedId } = error
  const { retryable } = ITEM_ERRORS[code]
  return { id, error: message, index, code, retryable, ...(storedId !== undefined && { storedId }) }
}

function byIndex(a: Failure, b: Failure): number {
  return a.index - b.index
}
