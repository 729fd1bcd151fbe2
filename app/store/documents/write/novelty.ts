/** So many new urls in a row are taken for a first crawl. */
const LONG_RUN = 10_000
/** From this share of unchanged documents on, looking before anything else is sent pays for itself. */
const MOSTLY = 0.75
/** The share is that of about so many documents. */
const SHARE_ROWS = 2_000

/**
 * What became of the documents written last. In a first crawl nearly all urls are new, and then it is worth while to insert
 * without looking first; a try that fails has to pay for itself by so many that did not. Where the same pages are sent
 * again nearly all are unchanged, and then it is worth while to look before the rest of them is sent. It never decides what
 * becomes of a document.
 */
export class Novelty {
  readonly #longRun: number
  #run: number
  #unchangedShare = 0

  /** Of an import, whose first documents are taken for new, and which expects after each chunk that the next is like it. */
  static ofImport(): Novelty {
    return new Novelty(1, 1)
  }

  constructor(longRun = LONG_RUN, run = 0) {
    this.#longRun = longRun
    this.#run = run
  }

  /** Whether the next rows are most probably new. */
  get isHigh(): boolean {
    return this.#run >= this.#longRun
  }

  /** Whether the next rows are most probably stored just as they come. */
  get isLow(): boolean {
    return this.#unchangedShare >= MOSTLY
  }

  /** Of `rows` documents so many were new, and so many needed no write at all. */
  note(rows: number, { added, untouched }: { added: number; untouched: number }): void {
    if (rows === 0) return
    this.#run = added === rows ? this.#run + rows : 0
    this.#unchangedShare += (untouched / rows - this.#unchangedShare) * Math.min(1, rows / SHARE_ROWS)
  }
}
