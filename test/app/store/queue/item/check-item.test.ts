import { describe, expect, test } from 'vitest'
import { checkItem } from '../../../../../app/store/queue/item/check-item.ts'

const LIMITS = { payloadBytes: 1_000, jsonDepth: 8 }
const check = (raw: unknown) => checkItem(raw, LIMITS)
const nested = (depth: number): object => (depth === 0 ? {} : { inner: nested(depth - 1) })

describe('an item that is right', () => {
  test('has everything as it came', () => {
    const raw = { id: 'a', priority: -3, payload: { url: 'https://a.example/x', n: 1 }, delaySeconds: 1.5, group: 'g' }

    expect(check(raw)).toEqual({
      id: 'a',
      priority: -3,
      payloadJson: '{"url":"https://a.example/x","n":1}',
      url: 'https://a.example/x',
      delaySeconds: 1.5,
      group: 'g',
    })
  })

  test('may leave out everything, and null is the same as absent', () => {
    const nothing = { priority: 0, payloadJson: '{}', id: undefined, url: undefined, group: undefined }

    expect(check({})).toEqual(nothing)
    expect(
      check({ id: null, priority: null, payload: null, delaySeconds: null, availableAt: null, group: null }),
    ).toEqual(nothing)
  })

  test('belongs to the host of its url where it names no group', () => {
    expect(check({ payload: { url: 'HTTPS://Bücher.Example:443/a' } })).toMatchObject({
      group: 'xn--bcher-kva.example',
    })
    expect(check({ payload: { url: 'http://a.example:8080/' } })).toMatchObject({ group: 'a.example:8080' })
    expect(check({ payload: { url: 'https://a.example/' }, group: 'b' })).toMatchObject({ group: 'b' })
    expect(check({ payload: { url: 'http://a.example.:8080/' } })).toMatchObject({ group: 'a.example:8080' })
    expect(check({ group: 'A.example.' })).toMatchObject({ group: 'A.example' })
    expect(check({ group: '...' })).toMatchObject({ group: '...' })
    expect(check({ group: 'Bücher.example.' })).toMatchObject({ group: 'xn--bcher-kva.example' })
    expect(check({ group: 'Bücher, old' })).toMatchObject({ group: 'Bücher, old' })
    const longer = 'é.'.repeat(84).concat('é')
    expect(check({ group: longer })).toMatchObject({ group: longer })
    expect(check({ payload: { url: 'no url' } })).toMatchObject({ url: 'no url', group: undefined })
    expect(check({ payload: { url: 7 } })).toMatchObject({ url: undefined, group: undefined })
    expect(check({ payload: { url: `http://${'a'.repeat(300)}/` } })).toMatchObject({ code: 'invalid_url' })
  })

  test('is available at a time to the microsecond', () => {
    expect(check({ availableAt: '2030-01-01T02:00:00.123456+02:00' })).toMatchObject({
      availableAt: '2030-01-01T00:00:00.123456Z',
    })
  })

  test('has an id of up to 2,048 bytes', () => {
    expect(check({ id: 'ü'.repeat(1_024) })).toMatchObject({ id: 'ü'.repeat(1_024) })
  })
})

describe('an item that is wrong', () => {
  test.each<[string, unknown, string]>([
    ['no object', 7, 'invalid_type'],
    ['null', null, 'invalid_type'],
    ['an array', [], 'invalid_type'],
    ['an unknown key', { ids: 'a' }, 'unknown_key'],
    ['an empty id', { id: '' }, 'invalid_id'],
    ['an id that is no text', { id: 7 }, 'invalid_id'],
    ['an id of 2,049 bytes', { id: 'a'.repeat(2_049) }, 'invalid_id'],
    ['an id with a NUL', { id: 'a\0' }, 'invalid_id'],
    ['an id with a lone surrogate', { id: '\ud800' }, 'invalid_id'],
    ['a priority that is no number', { priority: '1' }, 'invalid_type'],
    ['a fractional priority', { priority: 1.5 }, 'invalid_number'],
    ['a priority out of range', { priority: 2 ** 31 }, 'invalid_number'],
    ['a payload that is no object', { payload: [] }, 'invalid_type'],
    ['a payload that is too large', { payload: { a: 'x'.repeat(1_000) } }, 'payload_too_large'],
    ['a payload that is too deep', { payload: nested(9) }, 'too_deep'],
    ['a payload with a NUL', { payload: { a: ['\0'] } }, 'invalid_text'],
    ['a payload with a number out of range', { payload: { a: Number.POSITIVE_INFINITY } }, 'invalid_number'],
    ['a negative delay', { delaySeconds: -1 }, 'invalid_number'],
    ['an endless delay', { delaySeconds: 1e12 }, 'invalid_number'],
    ['a delay that is no number', { delaySeconds: '1' }, 'invalid_type'],
    ['a date that does not exist', { availableAt: '2030-02-30T00:00:00Z' }, 'invalid_time'],
    ['a time without offset', { availableAt: '2030-02-01T00:00:00' }, 'invalid_time'],
    ['both delaySeconds and availableAt', { delaySeconds: 1, availableAt: '2030-01-01T00:00:00Z' }, 'invalid_item'],
    ['an empty group', { group: '' }, 'invalid_text'],
    ['a group of 256 bytes', { group: 'g'.repeat(256) }, 'invalid_text'],
  ])('%s', (_name, raw, code) => {
    expect(check(raw)).toMatchObject({ code, message: expect.stringMatching(/\.$/) })
  })
})
