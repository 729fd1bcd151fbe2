import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline/promises'

/** One record of the index as a document without an id. */
export type PackageDocument = { url: string; status: string; metadata: Record<string, unknown> }

const ARCHIVE = 'https://packages.example/debian/'
const CRAWLED_AT = '2026-01-02T03:04:05.678901Z'

type Fields = [name: string, value: string][]

/**
 * The records of Debian's package index, one document each: its path is the url, all that it says is metadata. Without a
 * path is what this machine has installed from elsewhere: it is left out.
 */
export async function* packageDocuments(file: string): AsyncGenerator<PackageDocument, void, void> {
  for await (const fields of records(file)) {
    const document = toDocument(fields)
    if (document) yield document
  }
}

async function* records(file: string): AsyncGenerator<Fields, void, void> {
  let fields: Fields = []
  for await (const line of createInterface({ input: createReadStream(file) })) {
    const last = fields.at(-1)
    if (line === '') {
      yield fields
      fields = []
    } else if (/^\s/.test(line) && last) last[1] += `\n${line}`
    else fields.push(split(line))
  }
  yield fields
}

function split(line: string): [string, string] {
  const colon = line.indexOf(':')
  return [line.slice(0, colon), line.slice(colon + 1).trim()]
}

function toDocument(fields: Fields): PackageDocument | undefined {
  const { Filename, Size, ...others } = Object.fromEntries(fields)
  if (Filename === undefined) return undefined
  const contentType = 'application/vnd.debian.binary-package'
  return {
    url: `${ARCHIVE}${Filename}`,
    status: 'indexed',
    metadata: { ...others, size: Number(Size), contentType, crawledAt: CRAWLED_AT },
  }
}
