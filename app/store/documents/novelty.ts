/** So many new urls in a row are taken for a first crawl. */
const LONG_RUN = 10_000

/**
 * How many of the urls written last were new, without any other in between. In a first crawl nearly all are, and then it is
 * worth while to insert without looking first; a try that fails has to pay for itself by so many that did not. It never
 * decides what becomes of a document.
 */
export class Novelty {
  #run = 0

  /** Whether the next rows are most probably new. */
  get isHigh(): boolean {
    return this.#run >= LONG_RUN
  }

  note(rows: number, newRows: number): void {
    this.#run = newRows === rows ? this.#run + rows : 0
  }
}
