import { isTurnOver, nextTurn } from './turns.ts'

const VALUES_AT_ONCE = 250
/** Up to so many characters a text is put together at once. */
const SMALL_LENGTH = 65_536

/** An array to be written, and what stands around it; `toTexts` writes some of the values, without brackets, in pieces. */
export type WrittenArray<T> = { values: T[]; toTexts: (some: T[]) => string[]; before: string; after: string }

/** Writes JSON with one array in it, giving way to other work where it has many values. */
export async function writeArray<T>({ values, toTexts, before, after }: WrittenArray<T>): Promise<string | Buffer> {
  const texts = [`${before}[`]
  for (let start = 0; start < values.length; start += VALUES_AT_ONCE) {
    if (values.length > VALUES_AT_ONCE && isTurnOver()) await nextTurn()
    if (start > 0) texts.push(',')
    for (const text of toTexts(values.slice(start, start + VALUES_AT_ONCE))) texts.push(text)
  }
  texts.push(`]${after}`)
  return writeTexts(texts)
}

/**
 * Puts the pieces of one text together, and empties their array. A large one is written as bytes, piece by piece, giving way to
 * other work: joined as text it would be in memory three times, in the heap.
 */
export async function writeTexts(texts: string[]): Promise<string | Buffer> {
  const length = texts.reduce((sum, text) => sum + text.length, 0)
  if (length <= SMALL_LENGTH) return texts.join('')
  const bytes = Buffer.allocUnsafeSlow(texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0))
  let end = 0
  for (let n = 0; n < texts.length; n += 1) {
    if (isTurnOver()) await nextTurn()
    end += bytes.write(texts[n] as string, end)
    texts[n] = ''
  }
  return bytes
}

/** The texts with commas between them. */
export function separated(texts: readonly string[]): string[] {
  return texts.flatMap((text, n) => (n === 0 ? [text] : [',', text]))
}
