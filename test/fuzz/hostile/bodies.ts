/** Bodies that are small on the wire and large, or dear, for whoever reads them. */
import { gzipSync } from 'node:zlib'

const MEBIBYTE = 2 ** 20
/** Just below the limit of a body. */
const INFLATED_BYTES = 32 * MEBIBYTE - 4_096

const made = new Map<string, Buffer>()

/** JSON values, each of nearly 32 MiB. The text of one can be put where any value may be. */
export const LARGE_VALUES: Record<string, () => string> = {
  'many objects': () => `[${repeat('{},')}{}]`,
  'many objects, and a key that looks like __proto__': () => `[{"\\"__proto__":1},${repeat('{},')}{}]`,
  'many objects, and __proto__ with escapes': () => `[${repeat('{},')}{"\\u005f_proto_\\u005F":1}]`,
  'many objects, and __proto__': () => `[${repeat('{},')}{"__proto__":1}]`,
  'many numbers': () => `[${repeat('1,')}1]`,
  'many long numbers': () => `[${repeat('9007199254740993,')}0.1234567890123456789]`,
  'many empty texts': () => `[${repeat('"",')}""]`,
  'many keys': () => `{${keys()}"z":0}`,
  'many escapes': () => `"${repeat('\\u005f')}"`,
  'deep arrays': () => '['.repeat(INFLATED_BYTES / 2) + ']'.repeat(INFLATED_BYTES / 2),
  'deep objects': () => `${'{"a":'.repeat(INFLATED_BYTES / 6)}1${'}'.repeat(INFLATED_BYTES / 6)}`,
  'one long number': () => `1${repeat('1')}`,
  'one long number of zeros': () => `0.${repeat('0')}`,
  'nothing but blanks': () => `[${repeat(' ')}]`,
  'one long text': () => `"${repeat('x')}"`,
}

/** The gzip of a text that is made once. */
export function zipped(name: string, make: () => string | Buffer): Buffer {
  const known = made.get(name)
  if (known) return known
  const bytes = gzipSync(make(), { level: 9 })
  made.set(name, bytes)
  return bytes
}

/** Objects with one key that is nearly as long as a body, of characters that are longer in an answer than in the request. */
export function longKeys(): Buffer[] {
  return ['a', '~', '/', '\\"', '\\u0000', '\u4e00'].map((unit) =>
    zipped(`a key of ${unit}`, () => `{"${unit.repeat(Math.floor((8 * MEBIBYTE) / Buffer.byteLength(unit)))}":1}`),
  )
}

/** A body that inflates to a gibibyte: many members, each of which is small. */
export function gibibyte(): Buffer {
  const member = zipped('a mebibyte', () => Buffer.alloc(MEBIBYTE, 0x20))
  return Buffer.concat(Array.from({ length: 1_024 }, () => member))
}

function repeat(text: string): string {
  return text.repeat(Math.floor(INFLATED_BYTES / text.length) - 8)
}

function keys(): string {
  const count = Math.floor(INFLATED_BYTES / 16)
  return Array.from({ length: count }, (_, index) => `"k${index.toString(36).padStart(9, '0')}":0,`).join('')
}
