/** Keeps a SQLite copy equal to the stored documents: a client of the change feed and nothing else. */
import { existsSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { parseArgs } from 'node:util'
import { Storage, StorageError } from './storage.ts'

const HELP = `npm run follow -- <file> [options]

Keeps the file, a SQLite database with a table "documents", equal to the documents of the storage service. It may be killed at
any time: started again, it goes on.

  --service URL            the storage service (http://127.0.0.1:8003); its token, if it wants one, is in TOKEN
  --once                   end when the copy is up to date, instead of following on

Exit codes: 0 the copy is up to date, 1 the service failed or refused, 2 wrong usage.
`
const WAIT_SECONDS = 20
const PAGE = 1_000
const GONE = 410
const BUSY_MS = 10_000

type Document = { id: string; url: string; status: string | null; metadata: object; updatedAt: string }
type Change = { type: 'stored'; document: Document } | { type: 'deleted'; id: string; url: string }
type Page = { changes: Change[]; nextCursor: string; upToDate: boolean }

/** The copy, and the cursor that says how far it is: both change in one transaction, or neither. */
class Copy {
  readonly #db: DatabaseSync

  constructor(file: string) {
    // Others may read it, and recover it after a kill, at the same time.
    this.#db = new DatabaseSync(file, { timeout: BUSY_MS })
    this.#db.exec(`
      PRAGMA journal_mode = WAL;
      CREATE TABLE IF NOT EXISTS documents (id TEXT PRIMARY KEY, url TEXT NOT NULL UNIQUE, status TEXT, metadata TEXT NOT NULL,
        updated_at TEXT NOT NULL);
      CREATE TABLE IF NOT EXISTS progress (id INTEGER PRIMARY KEY CHECK (id = 1), cursor TEXT NOT NULL);
    `)
  }

  /** Undefined before the first page. */
  get cursor(): string | undefined {
    return this.#db.prepare('SELECT cursor FROM progress').get()?.cursor as string | undefined
  }

  apply({ changes, nextCursor }: Page): void {
    this.#atOnce(() => {
      for (const change of changes) this.#change(change)
      this.#db.prepare('INSERT OR REPLACE INTO progress (id, cursor) VALUES (1, ?)').run(nextCursor)
    })
  }

  /** What is to be read from the beginning begins with nothing: old deletions are not told. */
  clear(): void {
    this.#atOnce(() => this.#db.exec('DELETE FROM documents; DELETE FROM progress'))
  }

  close(): void {
    this.#db.close()
  }

  #change(change: Change): void {
    if (change.type === 'deleted') {
      // By its id: another document may have the url by now.
      this.#db.prepare('DELETE FROM documents WHERE id = ?').run(change.id)
      return
    }
    const { id, url, status, metadata, updatedAt } = change.document
    // OR REPLACE takes away the row that has the id, and the one that had the url before.
    this.#db
      .prepare('INSERT OR REPLACE INTO documents (id, url, status, metadata, updated_at) VALUES (?, ?, ?, ?, ?)')
      .run(id, url, status, JSON.stringify(metadata), updatedAt)
  }

  #atOnce(work: () => void): void {
    this.#db.exec('BEGIN IMMEDIATE')
    try {
      work()
      this.#db.exec('COMMIT')
    } catch (error) {
      this.#db.exec('ROLLBACK')
      throw error
    }
  }
}

async function follow(storage: Storage, copy: Copy, options: { once: boolean; signal: AbortSignal }): Promise<void> {
  for (let isUpToDate = false; !options.signal.aborted && !(options.once && isUpToDate); ) {
    const page = await nextPage(storage, copy, isUpToDate, options.signal)
    if (page === undefined) continue
    copy.apply(page)
    if (page.upToDate && !isUpToDate) process.stdout.write('The copy is up to date.\n')
    isUpToDate = page.upToDate
  }
}

/** Undefined where the cursor has expired: the copy begins anew. */
async function nextPage(storage: Storage, copy: Copy, waits: boolean, signal: AbortSignal): Promise<Page | undefined> {
  const query = new URLSearchParams({ limit: String(PAGE), waitSeconds: waits ? String(WAIT_SECONDS) : '0' })
  if (copy.cursor !== undefined) query.set('after', copy.cursor)
  try {
    return await storage.call<Page>('GET', `/api/documents/changes?${query}`, undefined, { signal })
  } catch (error) {
    if (!(error instanceof StorageError) || error.status !== GONE) throw error
    process.stdout.write(`${error.message}\n`)
    copy.clear()
    return undefined
  }
}

function readOptions(args: string[]) {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      service: { type: 'string', default: 'http://127.0.0.1:8003' },
      once: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  const [file, ...more] = positionals
  if (!values.help && (file === undefined || more.length > 0)) throw new TypeError('Name one file for the copy.')
  return { ...values, file: file ?? '' }
}

async function main(args: string[]): Promise<number> {
  const { help, file, service, once } = readOptions(args)
  if (help) {
    process.stdout.write(HELP)
    return 0
  }
  const stopping = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stopping.abort())
  process.stdout.write(existsSync(file) ? `Going on with ${file}.\n` : `A new copy in ${file}.\n`)
  const copy = new Copy(file)
  try {
    await follow(new Storage(service, process.env.TOKEN), copy, { once, signal: stopping.signal })
    return 0
  } catch (error) {
    if (stopping.signal.aborted) return 0
    if (!(error instanceof StorageError)) throw error
    process.stderr.write(`${error.message}\n`)
    return 1
  } finally {
    copy.close()
  }
}

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  if (!(error instanceof TypeError)) throw error
  process.stderr.write(`${error.message} \`npm run follow -- --help\` tells more.\n`)
  process.exitCode = 2
}
