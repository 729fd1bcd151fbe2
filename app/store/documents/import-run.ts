import type { Readable } from 'node:stream'
import { LIMITS } from '../../contract.ts'
import { type ItemErrorCode, Problem, type ProblemCode } from '../../errors.ts'
import type { Database } from '../database.ts'
import type { StoreObserver } from '../observer.ts'
import type { DocumentLimits } from './content.ts'
import { CHUNK_LIMITS, type ChunkLimits, ImportChunk } from './import-chunk.ts'
import { type CountedChunk, type ImportCounts, ImportLedger } from './import-ledger.ts'
import { checkLine, type ParseLine } from './import-line.ts'
import { ImportWriter } from './import-writer.ts'
import { type Line, LineSplitter } from './line-splitter.ts'
import { readPieces } from './piece-reader.ts'
import type { Slots } from './slots.ts'

/** What is wrong with one line. */
export type LineError = { line: number; id: string | null; error: string; code: ItemErrorCode }

/** The end of an import; `error` and `code` say why it did not come to the end of its lines. */
export type ImportOutcome = ImportCounts & { error?: string; code?: ProblemCode }

/** What every import works with. */
export type ImportParts = {
  database: Database
  limits: DocumentLimits
  observer: StoreObserver
  parse: ParseLine
  /** Default: 2,000 documents, 8,000 lines or 4 MiB. */
  chunkLimits?: ChunkLimits
}

/** One import. */
export type ImportRequest = {
  /** Lines of JSON, decompressed. */
  source: Readable
  /** Ends the reading: the caller is gone, or the service stops. What is being written is written. */
  signal: AbortSignal
  /** Whether it is the service that stops: then all lines that were read are written, and the outcome says so. */
  stopping: AbortSignal
  /** Called for the first 1,000 lines that are wrong. */
  onError: (error: LineError) => void
}

/** Two keep PostgreSQL busy while the next one is read; each more only holds memory. */
const CHUNKS_IN_FLIGHT = 2
const IDLE_MS = 500
/**
 * Bytes of a line for each byte of metadata that is allowed: 1e308 is five bytes as it is counted, and 309 digits as
 * PostgreSQL prints it, so that whatever is exported can be imported.
 */
const LINE_FACTOR = 64

/** One import from its first line to its outcome. */
export class ImportRun {
  readonly #parts: ImportParts
  readonly #slots: Slots
  readonly #request: ImportRequest
  readonly #splitter: LineSplitter
  readonly #writer: ImportWriter
  readonly #ledger = new ImportLedger()
  /** Chunks that are being written; a promise never rejects. */
  readonly #inFlight = new Map<ImportChunk, Promise<void>>()
  #chunk: ImportChunk
  #errors = 0
  /** Why nothing more can be written. */
  #failure: Problem | undefined

  constructor(parts: ImportParts, slots: Slots, request: ImportRequest) {
    this.#parts = parts
    this.#slots = slots
    this.#request = request
    this.#chunk = this.#newChunk(1)
    this.#writer = new ImportWriter(parts.database)
    this.#splitter = new LineSplitter(parts.limits.metadataBytes * LINE_FACTOR)
  }

  async run(): Promise<ImportOutcome> {
    const ending = await this.#readAll()
    // The lines that came whole are written, however the rest was cut off.
    if (!this.#isGone) await this.#dispatch()
    await Promise.all(this.#inFlight.values())
    return this.#outcome(this.#failure ?? ending)
  }

  get #isGone(): boolean {
    const { signal, stopping } = this.#request
    return signal.aborted && !stopping.aborted
  }

  /** Takes the lines until they end or something ends them; answers what. */
  async #readAll(): Promise<Problem | undefined> {
    const { source, signal, stopping } = this.#request
    try {
      for await (const piece of readPieces(source, signal, IDLE_MS)) await this.#takePiece(piece)
      if (source.readableEnded) await this.#takeAll(this.#splitter.end())
    } catch (error) {
      return toSourceProblem(error)
    }
    if (source.readableEnded || !stopping.aborted) return undefined
    return new Problem('stopping', 'The service is stopping.')
  }

  async #takePiece(piece: Buffer): Promise<void> {
    // Nothing came for a while: what there is does not wait for more.
    if (piece.length === 0) await this.#dispatch()
    await this.#takeAll(this.#splitter.push(piece))
  }

  async #takeAll(lines: Line[]): Promise<void> {
    for (const line of lines) {
      if (this.#failure !== undefined) return
      this.#take(line)
      if (this.#chunk.isFull) await this.#dispatch()
    }
  }

  #take(line: Line): void {
    const { parse, limits } = this.#parts
    const checked = checkLine(line, parse, limits)
    if (checked === undefined) this.#chunk.skip()
    else if ('error' in checked) this.#chunk.refuse(checked.error, checked.id)
    else this.#chunk.add(checked.document, line.length)
  }

  #newChunk(firstLine: number): ImportChunk {
    return new ImportChunk(firstLine, this.#parts.chunkLimits ?? CHUNK_LIMITS)
  }

  /** Hands the chunk over to be written, as soon as there is room for it. */
  async #dispatch(): Promise<void> {
    const chunk = this.#chunk
    if (chunk.isEmpty) return
    while (this.#mustWait(chunk)) await Promise.race(this.#inFlight.values())
    await this.#slots.take()
    if (this.#failure !== undefined || this.#isGone) return this.#slots.release()
    this.#chunk = this.#newChunk(chunk.lastLine + 1)
    this.#ledger.begin(chunk)
    this.#inFlight.set(chunk, this.#write(chunk))
  }

  #mustWait(chunk: ImportChunk): boolean {
    if (this.#inFlight.size >= CHUNKS_IN_FLIGHT) return true
    return [...this.#inFlight.keys()].some((other) => other.sharesKeysWith(chunk))
  }

  async #write(chunk: ImportChunk): Promise<void> {
    try {
      const result = await this.#writer.write(chunk)
      for (const counted of this.#ledger.commit(chunk, result)) this.#report(counted)
    } catch (error) {
      this.#failure ??= this.#toFailure(error)
    } finally {
      this.#slots.release()
      this.#inFlight.delete(chunk)
    }
  }

  #report({ chunk, result }: CountedChunk): void {
    for (const { index, error } of result.failures) {
      if (this.#errors === LIMITS.importErrorLines) return
      this.#errors += 1
      this.#request.onError({ line: index, id: chunk.idOf(index), error: error.message, code: error.code })
    }
  }

  #toFailure(error: unknown): Problem {
    if (error instanceof Problem) return error
    this.#parts.observer.backgroundError('import', error)
    return new Problem('internal', 'The service made a mistake; its log says more.', { cause: error })
  }

  #outcome(problem: Problem | undefined): ImportOutcome {
    const { counts } = this.#ledger
    return problem === undefined ? counts : { ...counts, error: problem.message, code: problem.code }
  }
}

function toSourceProblem(error: unknown): Problem {
  const isGzip = (error as NodeJS.ErrnoException).code?.startsWith('Z_') === true
  const detail = isGzip ? 'The body is not valid gzip.' : 'The body ended before it was complete.'
  return new Problem('malformed_body', detail, { cause: error })
}
