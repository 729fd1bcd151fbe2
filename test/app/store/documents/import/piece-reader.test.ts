import { PassThrough, Readable } from 'node:stream'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { createGunzip, gzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { readPieces } from '../../../../../app/store/documents/import/piece-reader.ts'

const NEVER = new AbortController().signal
const IDLE_MS = 60_000

async function collect(source: Readable, signal = NEVER): Promise<string> {
  let text = ''
  for await (const piece of readPieces(source, { signal, idleMs: () => IDLE_MS })) text += piece.toString()
  return text
}

test('reads to the end, of an empty stream too', async () => {
  expect(await collect(Readable.from([Buffer.from('a'), Buffer.from('b')]))).toBe('ab')
  expect(await collect(Readable.from([]))).toBe('')
})

test('ends at a stream that has ended already', async () => {
  const source = new PassThrough()
  source.end()
  source.resume()
  await nextTurn()
  expect(await collect(source)).toBe('')
})

test('says that nothing comes by an empty piece', async () => {
  const source = new PassThrough()
  const pieces = readPieces(source, { signal: NEVER, idleMs: () => 1 })
  expect((await pieces.next()).value).toEqual(Buffer.alloc(0))
  source.write('late')
  let next = await pieces.next()
  while (next.value?.length === 0) next = await pieces.next()
  expect(next.value?.toString()).toBe('late')
  await pieces.return()
  source.destroy()
})

test('ends when the signal aborts, and leaves the stream as it is', async () => {
  const abort = new AbortController()
  const source = new PassThrough()
  const reading = collect(source, abort.signal)
  await nextTurn()
  abort.abort()
  expect(await reading).toBe('')
  expect(source.destroyed).toBe(false)
  expect(source.listenerCount('readable')).toBe(0)
  source.destroy()
})

test('throws what breaks the stream, while it waits and while nobody does', async () => {
  const waiting = new PassThrough()
  const reading = collect(waiting)
  await nextTurn()
  waiting.destroy(new Error('broken'))
  await expect(reading).rejects.toThrow('broken')

  const busy = new PassThrough()
  busy.write('x')
  const pieces = readPieces(busy, { signal: NEVER, idleMs: () => IDLE_MS })
  await pieces.next()
  busy.destroy(new Error('broken'))
  await nextTurn()
  await expect(pieces.next()).rejects.toThrow('broken')

  const closed = new PassThrough()
  closed.destroy()
  await expect(collect(closed)).rejects.toThrow('closed before its end')
})

test('throws what is not gzip', async () => {
  const gunzip = createGunzip()
  gunzip.end(gzipSync('x'.repeat(100_000)).subarray(0, 50))
  await expect(collect(gunzip)).rejects.toMatchObject({ code: 'Z_BUF_ERROR' })
})
