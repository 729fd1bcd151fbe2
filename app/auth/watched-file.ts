import { readFileSync, statSync } from 'node:fs'
import type { AuthLog } from './caller.ts'

const CHECK_INTERVAL_MS = 1_000

export type WatchedFileOptions<T> = {
  path: string
  /** Reads the content; throws an error whose message names no secret. */
  parse: (text: string) => T
  log: AuthLog
  now?: () => number
}

/**
 * A file that is read again when it changes, so that rotation needs no restart. It is looked at when it is used, at most
 * once a second; while it is missing or broken the last good content stays in use, and the log says so once.
 */
export class WatchedFile<T> {
  readonly #options: WatchedFileOptions<T>
  readonly #now: () => number
  #content: T
  #signature: string
  #failure: string | undefined
  #checkedAt: number

  /** Reads the file for the first time; throws where that fails. */
  constructor(options: WatchedFileOptions<T>) {
    this.#options = options
    this.#now = options.now ?? performance.now.bind(performance)
    this.#checkedAt = this.#now()
    this.#signature = signatureOf(options.path)
    this.#content = options.parse(readFileSync(options.path, 'utf8'))
  }

  /** The content as of at most a second ago. */
  current(): T {
    const now = this.#now()
    if (now - this.#checkedAt >= CHECK_INTERVAL_MS) {
      this.#checkedAt = now
      this.#refresh()
    }
    return this.#content
  }

  #refresh(): void {
    const { path, parse, log } = this.#options
    try {
      const signature = signatureOf(path)
      if (signature === this.#signature) return
      this.#content = parse(readFileSync(path, 'utf8'))
      this.#signature = signature
      this.#failure = undefined
      log.info({ file: path }, 'a file has changed and was read again')
    } catch (error) {
      this.#report((error as Error).message)
    }
  }

  #report(failure: string): void {
    if (failure === this.#failure) return
    this.#failure = failure
    const file = this.#options.path
    this.#options.log.warn({ file, reason: failure }, 'a file cannot be read; its last good content stays in use')
  }
}

/** Kubernetes swaps a symbolic link to replace a mounted file: the inode tells where time and size do not. */
function signatureOf(path: string): string {
  const { mtimeNs, size, ino } = statSync(path, { bigint: true })
  return `${mtimeNs}-${size}-${ino}`
}
