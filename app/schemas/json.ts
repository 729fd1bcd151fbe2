import { isUtf8 } from 'node:buffer'

/** What a body or line that is not JSON is turned down with; the message is a sentence for the caller. */
export class JsonError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'JsonError'
  }
}

// A key may be written with escapes, and each letter of "__proto__" in two ways (RFC 8259, section 7).
const PROTO_KEY = new RegExp(
  `"${[...'__proto__'].map((letter) => `(?:${letter}|\\\\u00${hexOf(letter)})`).join('')}"\\s*:`,
)

/**
 * Reads JSON from the bytes of a body or line. Of a key given twice the last counts. Throws a JsonError for invalid UTF-8,
 * for what is not JSON, and for the key `__proto__` anywhere.
 */
export function parseJson(bytes: Uint8Array): unknown {
  if (!isUtf8(bytes)) throw new JsonError('It is not valid UTF-8.')
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
  const value = parse(text)
  if (mayHoldProto(text) && PROTO_KEY.test(text)) refuseProto(text)
  return value
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new JsonError(`It is not JSON: ${(error as Error).message}.`)
  }
}

/** Two plain searches, because nearly no body needs the slow one. */
function mayHoldProto(text: string): boolean {
  return text.includes('__proto__') || text.includes('\\u00')
}

/** The text may only look like the key (a quote escaped before it): a second parse judges the real keys. */
function refuseProto(text: string): void {
  try {
    JSON.parse(text, (key, value) => {
      if (key === '__proto__') throw new JsonError('The key "__proto__" is not allowed.')
      return value
    })
  } catch (error) {
    if (error instanceof JsonError) throw error
    throw new JsonError('It is nested too deeply.')
  }
}

function hexOf(letter: string): string {
  const [high = '', low = ''] = letter.charCodeAt(0).toString(16)
  return `${high}[${low}${low.toUpperCase()}]`
}
