/** Makes the opaque text of a cursor. */
export function toCursorText(parts: readonly unknown[]): string {
  return Buffer.from(JSON.stringify(parts)).toString('base64url')
}

/** The parts of such a text; none where it is something else. Whoever reads them judges each, and makes the text anew to compare. */
export function fromCursorText(text: string): unknown[] {
  try {
    const value: unknown = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'))
    return Array.isArray(value) ? value : []
  } catch {
    return []
  }
}
