import type { Readable } from 'node:stream'
import { Problem, type ProblemCode } from '../../../errors.ts'
import { nextTurn } from '../../../json/turns.ts'
import type { Database } from '../../database.ts'
import type { StoreObserver } from '../../observer.ts'
import type { DocumentLimits } from '../content/content.ts'
import { type ChunkLimits, ImportChunk } from './import-chunk.ts'
import type { ImportCounts } from './import-ledger.ts'
import { checkLine, type LineError, type Refused } from './import-line.ts'
import { ImportPipeline } from './import-pipeline.ts'
import { type ImportMemory, ImportRoom, SHORT_LINE_BYTES } from './import-room.ts'
import { type Line, LineSplitter } from './line-splitter.ts'
import { readPieces } from './piece-reader.ts'
import type { Slots } from './slots.ts'

/** The end of an import; `error` and `code` say why it did not come to the end of its lines. */
export type ImportOutcome = ImportCounts & { error?: string; code?: ProblemCode }

/** What every import works with. */
export type ImportWorks = {
  database: Database
  limits: DocumentLimits
  observer: StoreObserver
  chunkLimits: ChunkLimits
  /** The longest line. */
  lineBytes: number
  slots: Slots
  memory: ImportMemory
  longLineMs: number
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
  /** Called with true when the client has to send, and with false when it has to wait. */
  onClientsTurn?: (isClientsTurn: boolean) => void
}

/** What there is does not wait for a client that pauses; even less where others wait for its room. */
const IDLE_MS = 500
const CONTENDED_IDLE_MS = 20
/** How long lines are read before others get a turn of the event loop. */
const SLICE_MS = 10
/** A wrong line costs as much as a right one, and is far shorter when it is compressed: an import of little else ends. */
const MAX_WRONG_LINES = 100_000
const MAX_WRONG_SHARE = 0.9

/** One import from its first line to its outcome. */
export class ImportRun {
  readonly #works: ImportWorks
  readonly #request: ImportRequest
  readonly #splitter: LineSplitter
  readonly #room: ImportRoom
  readonly #pipeline: ImportPipeline
  #chunk: ImportChunk
  #isClientsTurn = false
  #sliceEndsAt = 0
  #readLines = 0
  #wrongLines = 0
  /** When the line that is coming in became a long one. */
  #longSince: number | undefined

  constructor(works: ImportWorks, request: ImportRequest) {
    this.#works = works
    this.#request = request
    this.#chunk = new ImportChunk(1, works.chunkLimits)
    this.#room = new ImportRoom(works.memory, request.signal)
    this.#splitter = new LineSplitter(works.lineBytes)
    this.#pipeline = new ImportPipeline({ ...works, onError: request.onError, isGone: () => this.#isGone })
  }

  async run(): Promise<ImportOutcome> {
    try {
      const ending = await this.#readAll()
      // The lines that came whole are written, however the rest was cut off.
      if (!this.#isGone) await this.#dispatch()
      await this.#pipeline.settled()
      return this.#outcome(this.#pipeline.failure ?? ending)
    } finally {
      this.#room.release()
    }
  }

  get #isGone(): boolean {
    const { signal, stopping } = this.#request
    return signal.aborted && !stopping.aborted
  }

  /** Takes the lines until they end or something ends them; answers what. */
  async #readAll(): Promise<Problem | undefined> {
    const { source, signal, stopping } = this.#request
    const onWait = (isWaiting: boolean) => this.#setTurn(isWaiting)
    const idleMs = () => (this.#room.isContended ? CONTENDED_IDLE_MS : IDLE_MS)
    try {
      for await (const piece of readPieces(source, { signal, idleMs, onWait })) {
        await this.#takePiece(piece)
      }
      if (source.readableEnded) await this.#takeAll(this.#splitter.end())
    } catch (error) {
      return toSourceProblem(error)
    }
    if (source.readableEnded || !stopping.aborted) return undefined
    return new Problem('stopping', 'The service is stopping.')
  }

  async #takePiece(piece: Buffer): Promise<void> {
    // The rest is only read, so that the client gets to see the outcome.
    if (this.#pipeline.failure !== undefined) return this.#room.release()
    const lines = this.#splitter.push(piece)
    await this.#takeAll(lines)
    // Nothing came for a while, or others wait for the room: what there is does not wait for more.
    if (piece.length === 0 || this.#room.isOverdue) await this.#dispatch()
    await this.#watchLine(lines.length > 0)
  }

  /** A line that turns out to be long needs a room for it, and its end in time where others wait for theirs. */
  async #watchLine(isNew: boolean): Promise<void> {
    const isLong = this.#splitter.unfinishedBytes > SHORT_LINE_BYTES
    if (!isLong || isNew) this.#longSince = undefined
    if (!isLong) return
    if (!this.#room.isForLongLine) {
      await this.#dispatch()
      await this.#room.takeForLongLine()
    }
    this.#longSince ??= performance.now()
    const { longLineMs } = this.#works
    if (!this.#room.isAwaited || performance.now() - this.#longSince < longLineMs) return
    throw new Problem('request_timeout', `A line did not come whole within ${longLineMs} ms.`)
  }

  async #takeAll(lines: Line[]): Promise<void> {
    for (const line of lines) {
      if (this.#pipeline.failure !== undefined) return
      if (typeof line === 'number') {
        this.#chunk.skip(line)
        continue
      }
      if (!this.#room.isTaken) await this.#room.take()
      await this.#take(line)
      if (this.#chunk.isFull) await this.#dispatch()
      if (performance.now() >= this.#sliceEndsAt) await this.#yield()
    }
  }

  async #take(line: Buffer | 'tooLong'): Promise<void> {
    const checked = await checkLine(line, this.#works.limits)
    this.#readLines += 1
    if (checked === undefined) this.#chunk.skip(1)
    else if ('error' in checked) this.#refuse(checked)
    else this.#chunk.add(checked.document, line.length)
    this.#room.note(line.length)
  }

  #refuse({ error, id }: Refused): void {
    this.#chunk.refuse(error, id)
    this.#wrongLines += 1
    if (this.#wrongLines <= MAX_WRONG_LINES || this.#wrongLines < this.#readLines * MAX_WRONG_SHARE) return
    throw new Problem('malformed_body', `Nearly all lines are wrong, and more than ${MAX_WRONG_LINES} of them.`)
  }

  async #yield(): Promise<void> {
    await nextTurn()
    this.#sliceEndsAt = performance.now() + SLICE_MS
  }

  /** Hands the chunk over to be written, as soon as there is room for it. */
  async #dispatch(): Promise<void> {
    const chunk = this.#chunk
    if (chunk.isEmpty) return
    this.#setTurn(false)
    if (!(await this.#pipeline.takePlace(chunk))) return
    this.#chunk = new ImportChunk(chunk.lastLine + 1, this.#works.chunkLimits)
    const keepsRoom = this.#room.isForLongLine && this.#splitter.unfinishedBytes > SHORT_LINE_BYTES
    this.#pipeline.write(chunk, keepsRoom ? undefined : this.#room.handOver(chunk.weight))
    // The line that is coming in goes on needing the room, which is for one chunk beside it.
    if (keepsRoom) await this.#pipeline.settled()
  }

  /** A pause of the client alone is no change: it has been silent since it began. */
  #setTurn(isClients: boolean): void {
    if (this.#isClientsTurn !== isClients) this.#request.onClientsTurn?.(isClients)
    this.#isClientsTurn = isClients
  }

  #outcome(problem: Problem | undefined): ImportOutcome {
    const { counts } = this.#pipeline
    return problem === undefined ? counts : { ...counts, error: problem.message, code: problem.code }
  }
}

function toSourceProblem(error: unknown): Problem {
  if (error instanceof Problem) return error
  const isGzip = (error as NodeJS.ErrnoException).code?.startsWith('Z_') === true
  const detail = isGzip ? 'The body is not valid gzip.' : 'The body ended before it was complete.'
  return new Problem('malformed_body', detail, { cause: error })
}
