import { readlink } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { expect, test } from 'vitest'
import { documentAt } from '../bench/data.ts'
import { memoryMiB } from '../bench/proc-stat.ts'
import { npmStart } from '../support/npm-start.ts'

const DOCUMENTS = 100_000
const LINES_A_PIECE = 500
/** 256 MB, as docs/performance.md has it. */
const LIMIT_MIB = 256e6 / 1_048_576

const { url, pid, stop } = await npmStart()

function* lines(): Generator<Buffer> {
  for (let start = 0; start < DOCUMENTS; start += LINES_A_PIECE) {
    const piece = Array.from(
      { length: LINES_A_PIECE },
      (_, offset) => `${JSON.stringify(documentAt(start + offset))}\n`,
    )
    yield Buffer.from(piece.join(''))
  }
}

async function countLines(body: AsyncIterable<Uint8Array> | null): Promise<number> {
  let count = 0
  for await (const piece of body ?? []) for (const byte of piece) if (byte === 0x0a) count += 1
  return count
}

test('runs on Node 20, with the Node that npm ci brings', async () => {
  expect((await fetch(`${url}/readyz`)).status).toBe(200)
  expect(await readlink(`/proc/${pid}/exe`)).toContain(`node_modules/node-linux-${process.arch}/`)
})

test('an import and an export take no more memory than in the image', { timeout: 300_000 }, async () => {
  const response = await fetch(`${url}/api/documents/import`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-ndjson' },
    body: Readable.toWeb(Readable.from(lines())),
    duplex: 'half',
  } as RequestInit)
  const outcome = JSON.parse((await response.text()).trim().split('\n').at(-1) ?? '')
  expect(outcome).toMatchObject({ stored: DOCUMENTS, committedLines: DOCUMENTS })
  const afterImport = memoryMiB(pid).peak

  const exported = await fetch(`${url}/api/documents/export`)
  expect(await countLines(exported.body)).toBe(DOCUMENTS)
  const afterExport = memoryMiB(pid).peak
  console.log(`it held ${Math.round(afterImport)} MiB at most in an import, ${Math.round(afterExport)} in an export`)
  expect(afterImport).toBeLessThan(LIMIT_MIB)
  expect(afterExport).toBeLessThan(LIMIT_MIB)
})

test('ends on a signal to npm', async () => {
  await stop()
  await expect(fetch(`${url}/livez`)).rejects.toThrow('fetch failed')
})
