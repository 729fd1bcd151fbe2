import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isBlank, LineSplitter } from '../../../../../app/store/documents/import/line-splitter.ts'

const MAX_BYTES = 12
const MARK = '\uFEFF'

/** The lines of a stream that came in these pieces; bytes as latin1 text. */
function split(pieces: Buffer[], maxBytes = MAX_BYTES): string[] {
  const splitter = new LineSplitter(maxBytes)
  const lines = [...pieces.flatMap((piece) => splitter.push(piece)), ...splitter.end()]
  return lines.flatMap((line) => {
    if (typeof line === 'number') return Array<string>(line).fill('')
    return line === 'tooLong' ? [line] : [isBlank(line) ? '' : line.toString('latin1')]
  })
}

/** The same, said in the plainest way. */
function model(bytes: Buffer): string[] {
  const text = bytes.toString('latin1')
  const lines = text.split('\n')
  if (lines.at(-1) === '') lines.pop()
  if (lines[0] !== undefined) lines[0] = lines[0].replace(/^\xef\xbb\xbf/, '')
  const whole = lines.map((line) => line.replace(/\r$/, ''))
  return whole.map((line) => (line.length > MAX_BYTES ? 'tooLong' : line.replace(/^[ \t\r]*$/, '')))
}

/** Cuts bytes at the given places. */
function cut(bytes: Buffer, places: number[]): Buffer[] {
  const sorted = [...new Set(places.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b)
  return [0, ...sorted].map((place, index) => bytes.subarray(place, sorted[index] ?? bytes.length))
}

// Mostly what lines are made of, so that ends, marks and limits meet often.
const byte = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(0x0a, 0x0d, 0xef, 0xbb, 0xbf, 0x20) },
  { weight: 5, arbitrary: fc.integer({ min: 0, max: 255 }) },
)
const stream = fc
  .tuple(fc.boolean(), fc.array(byte, { maxLength: 80 }))
  .map(([isMarked, bytes]) => Buffer.from(isMarked ? [0xef, 0xbb, 0xbf, ...bytes] : bytes))

describe('LineSplitter', () => {
  test('gives the same lines however the stream is cut', () => {
    fc.assert(
      fc.property(stream, fc.array(fc.nat(), { maxLength: 20 }), (bytes, places) => {
        expect(split(cut(bytes, places))).toEqual(model(bytes))
      }),
      { numRuns: 2_000 },
    )
  })

  test('gives the same lines when the stream comes byte by byte', () => {
    fc.assert(
      fc.property(stream, (bytes) => {
        expect(split([...bytes].map((value) => Buffer.from([value])))).toEqual(model(bytes))
      }),
    )
  })

  test('takes both line ends, a mark at the start, and a last line without an end', () => {
    expect(split([Buffer.from(`${MARK}a\r\nb\n\n\r\nc`)])).toEqual(['a', 'b', '', '', 'c'])
    expect(split([Buffer.from('')])).toEqual([])
    expect(split([Buffer.from('a\n')])).toEqual(['a'])
    expect(split([Buffer.from(`a\n${MARK}b`)])[1]).not.toBe('b')
  })

  test('does not count the line end or the mark towards the limit', () => {
    const full = 'x'.repeat(MAX_BYTES)
    expect(split([Buffer.from(`${MARK}${full}\r\n${full}\n${full}y\n${full}`)])).toEqual([full, full, 'tooLong', full])
  })

  test('lets the bytes of a line over the limit go', () => {
    const splitter = new LineSplitter(1_024)
    const piece = Buffer.alloc(65_536, 'x')
    const before = process.memoryUsage().arrayBuffers
    for (let index = 0; index < 2_000; index += 1) expect(splitter.push(piece)).toEqual([])
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8 * 1_048_576)
    expect(splitter.push(Buffer.from('\nnext\n'))).toEqual(['tooLong', Buffer.from('next')])
  })
})

test('isBlank', () => {
  expect(['', ' ', '\t \r'].map((text) => isBlank(Buffer.from(text)))).toEqual([true, true, true])
  expect(['x', ' {', '\0'].map((text) => isBlank(Buffer.from(text)))).toEqual([false, false, false])
})
