import { isTurnOver, nextTurn } from '../../../json/turns.ts'
import type { Session } from '../../database.ts'
import { type DocumentRow, documentJson } from '../content/document-json.ts'
import { ExportPages, type ExportQuery } from './export-page.ts'

/** Who follows an export: is told of the documents that come, and says when nobody reads them any more. */
export type ExportWatch = { onRows: (count: number) => void; signal?: AbortSignal }

// Small pieces are collected with the young garbage; whole pages would pile up.
const LINES_A_PIECE = 64

/**
 * Streams documents as NDJSON in the order of their ids, a page at a time. Each page is one short statement, so that a slow
 * reader holds no transaction and no connection; one page is read ahead. Every document that is not deleted meanwhile comes
 * exactly once; one that is made meanwhile may come.
 */
export class DocumentExporter {
  readonly #session: Session

  constructor(session: Session) {
    this.#session = session
  }

  /**
   * Tells `onRows` how many documents come next. Ends early once `signal` is aborted. Throws a `Problem` where the database
   * cannot answer; what came before it is whole lines.
   */
  async *run(query: ExportQuery, { onRows, signal }: ExportWatch): AsyncGenerator<Buffer, void, void> {
    const pages = new ExportPages(this.#session, query, signal)
    let ahead = pages.next()
    for (;;) {
      const rows = await ahead
      if (rows.length === 0) return
      onRows(rows.length)
      ahead = pages.next()
      // It is looked at when its turn comes; until then a failure is nobody's, and a reader who stops never looks.
      ahead.catch(() => undefined)
      for (let start = 0; start < rows.length; start += LINES_A_PIECE) {
        // As long as its reader takes all of it at once, nothing else would stop an export.
        if (isTurnOver()) await nextTurn()
        yield toBytes(rows.slice(start, start + LINES_A_PIECE))
      }
    }
  }
}

function toBytes(rows: DocumentRow[]): Buffer {
  let text = ''
  for (const row of rows) text += `${documentJson(row)}\n`
  return Buffer.from(text)
}
