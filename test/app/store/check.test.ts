import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  checkInteger,
  checkJson,
  checkKeys,
  checkOptionalTime,
  checkText,
  checkTime,
  encodeJson,
  isItemError,
  isUuid,
  shown,
  toUtcText,
} from '../../../app/store/check.ts'

const JSON_FIELD = { name: 'metadata', maxBytes: 40, maxDepth: 3, tooLarge: 'metadata_too_large' } as const

describe('a time', () => {
  test.each([
    ['2026-01-31T12:00:00Z', '2026-01-31T12:00:00.000000Z'],
    ['2026-01-31T12:00:00.5Z', '2026-01-31T12:00:00.500000Z'],
    ['2026-01-31t12:00:00.123456z', '2026-01-31T12:00:00.123456Z'],
    ['2026-01-31T12:00:00.1234569Z', '2026-01-31T12:00:00.123456Z'],
    ['2024-02-29T01:02:03-05:30', '2024-02-29T06:32:03.000000Z'],
    ['2000-02-29T00:00:00Z', '2000-02-29T00:00:00.000000Z'],
    ['2026-01-01T00:30:00.000001+01:00', '2025-12-31T23:30:00.000001Z'],
    ['0050-01-01T00:00:00+01:00', '0049-12-31T23:00:00.000000Z'],
    ['0001-01-01T00:00:00Z', '0001-01-01T00:00:00.000000Z'],
    ['9999-12-31T23:59:59.999999Z', '9999-12-31T23:59:59.999999Z'],
    ['2016-12-31T23:59:60Z', '2017-01-01T00:00:00.000000Z'],
    ['2026-01-01T00:00:00-00:00', '2026-01-01T00:00:00.000000Z'],
  ])('%s is %s', (text, utc) => expect(toUtcText(text)).toBe(utc))

  test.each([
    '',
    'now',
    '2026-01-31',
    '2026-01-31T12:00:00',
    '2026-01-31 12:00:00Z',
    '2026-01-31T12:00Z',
    '2026-01-31T12:00:00.Z',
    '2026-01-31T12:00:00+01',
    '2026-01-31T12:00:00+24:00',
    '2026-01-31T12:00:00+01:60',
    '2026-01-31T24:00:00Z',
    '2026-01-31T12:60:00Z',
    '2026-01-31T12:00:61Z',
    '2026-02-29T00:00:00Z',
    '1900-02-29T00:00:00Z',
    '2026-04-31T00:00:00Z',
    '2026-00-01T00:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-01-00T00:00:00Z',
    '0000-01-01T00:00:00Z',
    '0001-01-01T00:00:00+00:01',
    '9999-12-31T23:59:59-00:01',
    '10000-01-01T00:00:00Z',
    '-0001-01-01T00:00:00Z',
    '2026-01-31T12:00:00Z\n',
    ' 2026-01-31T12:00:00Z',
    '２026-01-31T12:00:00Z',
  ])('%j is none', (text) => expect(toUtcText(text)).toBeUndefined())

  test('with any offset is the instant that Date takes it for', () => {
    const two = (n: number) => String(n).padStart(2, '0')
    const offset = fc
      .tuple(fc.constantFrom('+', '-'), fc.integer({ min: 0, max: 23 }), fc.integer({ min: 0, max: 59 }))
      .map(([sign, hours, minutes]) => `${sign}${two(hours)}:${two(minutes)}`)
    const range = { min: new Date('0002-01-01T00:00:00Z'), max: new Date('9998-12-31T00:00:00Z'), noInvalidDate: true }
    fc.assert(
      fc.property(fc.date(range), fc.oneof(fc.constant('Z'), offset), (date, zone) => {
        const text = date.toISOString().replace('Z', zone)
        expect(toUtcText(text)).toBe(new Date(text).toISOString().replace('Z', '000Z'))
      }),
    )
  })

  test('compares as text like the instants', () => {
    const instant = fc.date({
      min: new Date('0001-01-01T00:00:00Z'),
      max: new Date('9999-12-31T00:00:00Z'),
      noInvalidDate: true,
    })
    fc.assert(
      fc.property(instant, instant, (a, b) => {
        const [left = '', right = ''] = [toUtcText(a.toISOString()), toUtcText(b.toISOString())]
        expect(Math.sign(Number(left > right) - Number(left < right))).toBe(Math.sign(a.getTime() - b.getTime()))
      }),
    )
  })

  test('that is no text, or absent', () => {
    expect(checkTime(5, 'at')).toMatchObject({ code: 'invalid_type' })
    expect(checkTime('x', 'at')).toMatchObject({ code: 'invalid_time', message: expect.stringContaining('at ') })
    expect(checkOptionalTime(null, 'at')).toBeNull()
    expect(checkOptionalTime(undefined, 'at')).toBeNull()
    expect(checkOptionalTime('x', 'at')).toMatchObject({ code: 'invalid_time' })
  })
})

describe('a text', () => {
  const field = { name: 'status', minBytes: 1, maxBytes: 6 }

  test.each(['a', 'abcdef', 'üüü', '\u{1f600}ab'])('%j is fine', (text) =>
    expect(checkText(text, field)).toBeUndefined(),
  )

  test.each([
    [5, 'invalid_type'],
    [null, 'invalid_type'],
    ['', 'invalid_text'],
    ['abcdefg', 'invalid_text'],
    ['üüüü', 'invalid_text'],
    ['a\0', 'invalid_text'],
    ['\ud800', 'invalid_text'],
    ['\udc00\ud800', 'invalid_text'],
  ])('%j is %s', (text, code) => expect(checkText(text, field)).toMatchObject({ code }))
})

test('an integer has its range', () => {
  const field = { name: 'size', min: 0, max: 5 }
  for (const fine of [0, 5, -0]) expect(checkInteger(fine, field)).toBeUndefined()
  for (const bad of [-1, 6, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
    expect(checkInteger(bad, field)).toMatchObject({ code: 'invalid_number' })
  }
  expect(checkInteger('1', field)).toMatchObject({ code: 'invalid_type' })
})

test('an unknown key is named, shortly', () => {
  const allowed = new Set(['a'])
  expect(checkKeys({ a: 1 }, allowed)).toBeUndefined()
  expect(checkKeys({ a: 1, b: 2 }, allowed)).toMatchObject({
    code: 'unknown_key',
    message: expect.stringContaining('"b"'),
  })
  expect(checkKeys({ ['x'.repeat(1e6)]: 1 }, allowed)?.message.length).toBeLessThan(200)
  expect(shown('a"\ud800')).toBe(JSON.stringify('a"\ufffd'))
})

describe('a JSON object', () => {
  test.each([
    [{}, '{}'],
    [{ a: [1, { b: null }] }, '{"a":[1,{"b":null}]}'],
    [{ u: 'a\\u0000' }, '{"u":"a\\\\u0000"}'],
  ])('%j is encoded', (value, text) => expect(encodeJson(value, JSON_FIELD)).toBe(text))

  test.each<[unknown, string]>([
    [null, 'invalid_type'],
    [[], 'invalid_type'],
    ['x', 'invalid_type'],
    [{ a: [[{}]] }, 'too_deep'],
    [{ a: Number.POSITIVE_INFINITY }, 'invalid_number'],
    [{ a: ['\0'] }, 'invalid_text'],
    [{ '\ud800': 1 }, 'invalid_text'],
    [{ a: { 'b\0': 1 } }, 'invalid_text'],
    [{ a: 'x'.repeat(40) }, 'metadata_too_large'],
    [{ a: 'ü'.repeat(20) }, 'metadata_too_large'],
  ])('%j is %s', (value, code) => expect(encodeJson(value, JSON_FIELD)).toMatchObject({ code }))

  test('of any depth is judged without overflow', () => {
    let deep: unknown = 1
    for (let level = 0; level < 1e6; level += 1) deep = [deep]
    expect(checkJson({ deep }, JSON_FIELD)).toMatchObject({ code: 'too_deep' })
  })
})

test('an error is told from what else a check answers', () => {
  for (const other of [undefined, null, 'x', 5, {}, { code: 1 }]) expect(isItemError(other)).toBe(false)
  expect(isItemError(checkTime('x', 'at'))).toBe(true)
})

test('a UUID has its canonical form, in either case', () => {
  expect(isUuid('00000000-0000-4000-8000-00000000000A')).toBe(true)
  for (const bad of ['', 'x', '00000000000040008000000000000000', '{00000000-0000-4000-8000-000000000000}', 5, null]) {
    expect(isUuid(bad)).toBe(false)
  }
})
