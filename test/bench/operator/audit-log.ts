import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs'

type Entry = {
  verb: string
  objectRef?: { resource?: string; subresource?: string }
  responseStatus?: { code?: number }
}

/** How many requests of each sort, such as `patch storageinstances/status`. */
export type Writes = Record<string, number>

/** What the API server wrote down of the operator's writes. */
export class AuditLog {
  readonly #file: string

  constructor(file: string) {
    this.#file = file
  }

  /** A place in the log: now. */
  mark(): number {
    return statSync(this.#file, { throwIfNoEntry: false })?.size ?? 0
  }

  /** The writes from a place on, up to now, by verb and resource; what was not answered with 2xx says so. */
  since(mark: number): Writes {
    const writes: Writes = {}
    for (const { verb, objectRef, responseStatus } of this.#entries(mark)) {
      const { resource = '', subresource } = objectRef ?? {}
      const { code = 0 } = responseStatus ?? {}
      const sort = `${verb} ${resource}${subresource ? `/${subresource}` : ''}${code >= 300 ? ` (${code})` : ''}`
      writes[sort] = (writes[sort] ?? 0) + 1
    }
    return writes
  }

  #entries(mark: number): Entry[] {
    const file = openSync(this.#file, 'r')
    try {
      const bytes = Buffer.alloc(Math.max(0, fstatSync(file).size - mark))
      readSync(file, bytes, 0, bytes.length, mark)
      const lines = bytes.toString('utf8').split('\n')
      // The last one may be half written.
      return lines.slice(0, -1).map((line) => JSON.parse(line) as Entry)
    } finally {
      closeSync(file)
    }
  }
}

/** All of them but those by which the operator stays the leader. */
export function withoutLease(writes: Writes): Writes {
  return Object.fromEntries(Object.entries(writes).filter(([sort]) => !/ leases( |$)/.test(sort)))
}

/** How many there are together. */
export function totalOf(writes: Writes): number {
  return Object.values(writes).reduce((sum, count) => sum + count, 0)
}
