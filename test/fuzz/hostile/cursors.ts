/** Cursors that the service never gave. It says nothing of their form, so that everything has to be tried. */

/** Times in places where one may be expected, each wrong in another way. */
const TIMES = [
  '2026-01-01T00:00:00+20:00',
  `2026-01-01T00:00:00.${'1'.repeat(100)}Z`,
  `2026-01-01T00:00:00.${'1'.repeat(8_000)}Z`,
  '2026-02-30T00:00:00Z',
  '0000-01-01T00:00:00Z',
  '99999-01-01T00:00:00Z',
  'infinity',
  '',
]
const VALUES: unknown[] = [null, true, 0, -1, 2 ** 53, 1e308, '', 'x', '\0', '\ud800', [], {}, ...TIMES]
const TEXTS = [
  '',
  ' ',
  'x',
  '\0',
  '=',
  '====',
  'null',
  '{}',
  '[]',
  '\u00e9',
  '..',
  '%',
  "'",
  'x'.repeat(12_000),
  '__proto__',
]

export function forgedCursors(): string[] {
  const arrays = VALUES.flatMap((value) => [1, 2, 3, 4, 5].map((length) => Array.from({ length }, () => value)))
  const objects = VALUES.map((value) => ({
    id: value,
    updatedAt: value,
    at: value,
    time: value,
    v: 1,
    priority: value,
  }))
  const json = [...VALUES, ...arrays, ...objects].map((value) => JSON.stringify(value))
  const encoded = [...TEXTS, ...json, ...TIMES].map((text) => Buffer.from(text).toString('base64url'))
  return [...TEXTS.map((text) => text.toWellFormed()), ...encoded].filter(
    (cursor) => !cursor.includes('\0') && cursor.length < 14_000,
  )
}

/** The same cursor with other texts where it has a time, a number or an id, and with single characters changed. */
export function mutationsOf(cursor: string): string[] {
  const text = Buffer.from(cursor, 'base64url').toString('latin1')
  const replaced = TIMES.flatMap((time) => [
    text.replace(/\d{4}-\d\d-\d\dT[\d:.]+Z?(?:[+-]\d\d:\d\d)?/, time),
    text.replace(/"[^"]*"/, JSON.stringify(time)),
    text.replace(/\d+/, time),
  ])
  const flipped = Array.from({ length: text.length }, (_, at) => `${text.slice(0, at)}~${text.slice(at + 1)}`)
  return [...replaced, ...flipped].map((changed) => Buffer.from(changed, 'latin1').toString('base64url'))
}
