import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { canonicalJson } from '../../../../../app/store/documents/content/canonical.ts'
import { type CheckedDocument, checkDocument } from '../../../../../app/store/documents/content/content.ts'
import { LIMITS } from '../test-store.ts'

const URL_A = 'https://a.example/'

function check(raw: unknown) {
  return checkDocument(raw, LIMITS)
}

function hashOf(metadata: object): string {
  return (check({ url: URL_A, metadata }) as CheckedDocument).content.hash
}

describe('a document', () => {
  test('is taken apart into columns', () => {
    const metadata = { crawledAt: '2026-01-01T00:00:00Z', size: 5, contentType: '', z: [{ b: 1, a: 2 }], a: 'x' }
    expect(check({ id: 'AAAAAAAA-0000-4000-8000-000000000000', url: URL_A, status: 's', metadata })).toEqual({
      id: 'aaaaaaaa-0000-4000-8000-000000000000',
      url: URL_A,
      host: 'a.example',
      status: 's',
      content: {
        crawledAt: '2026-01-01T00:00:00.000000Z',
        lastModified: null,
        contentType: '',
        size: 5,
        metadata: '{"a":"x","z":[{"a":2,"b":1}]}',
        hash: expect.stringMatching(/^01[0-9a-f]{32}$/),
      },
    })
  })

  test('needs no host', () => expect(check({ url: 'mailto:a@b.example' })).toMatchObject({ host: null }))

  test('may be as large as the limits', () => {
    const url = `${URL_A}${'x'.repeat(2_048 - URL_A.length)}`
    const text = 'x'.repeat(LIMITS.metadataBytes - '{"x":""}'.length)
    let deep: unknown[] = []
    for (let level = 2; level < LIMITS.jsonDepth; level += 1) deep = [deep]
    for (const metadata of [{ x: text }, { deep }, { size: Number.MAX_SAFE_INTEGER, contentType: 'x'.repeat(1_024) }]) {
      expect(check({ url, status: 'x'.repeat(1_024), metadata })).toMatchObject({ url })
    }
  })

  test.each<[string, unknown, string]>([
    ['is no object', 'x', 'invalid_type'],
    ['is null', null, 'invalid_type'],
    ['is an array', [], 'invalid_type'],
    ['has an unknown key', { url: URL_A, colour: 1 }, 'unknown_key'],
    ['has no url', {}, 'invalid_type'],
    ['has a null url', { url: null }, 'invalid_type'],
    ['has an empty url', { url: '' }, 'invalid_text'],
    ['has a relative url', { url: '/x' }, 'invalid_url'],
    ['has a url that cannot be parsed', { url: 'https://a b/' }, 'invalid_url'],
    ['has a url that is too long', { url: `${URL_A}${'x'.repeat(2_048)}` }, 'invalid_text'],
    ['has a url that is too long in bytes', { url: `${URL_A}${'ü'.repeat(1_020)}` }, 'invalid_text'],
    ['has a host that is too long', { url: `https://${'x'.repeat(1_025)}/` }, 'invalid_url'],
    ['has a url with a NUL', { url: `${URL_A}\0` }, 'invalid_text'],
    ['has a url with a lone surrogate', { url: `${URL_A}\ud800` }, 'invalid_text'],
    ['has an id that is no UUID', { id: 'x', url: URL_A }, 'invalid_id'],
    ['has an id that is no text', { id: {}, url: URL_A }, 'invalid_id'],
    ['has a status that is no text', { url: URL_A, status: 1 }, 'invalid_type'],
    ['has a status that is too long', { url: URL_A, status: 'x'.repeat(1_025) }, 'invalid_text'],
    ['has metadata that is no object', { url: URL_A, metadata: [] }, 'invalid_type'],
    ['has a crawledAt that is no text', { url: URL_A, metadata: { crawledAt: 5 } }, 'invalid_type'],
    [
      'has a crawledAt that does not exist',
      { url: URL_A, metadata: { crawledAt: '2026-02-30T00:00:00Z' } },
      'invalid_time',
    ],
    [
      'has a lastModified without offset',
      { url: URL_A, metadata: { lastModified: '2026-02-01T00:00:00' } },
      'invalid_time',
    ],
    ['has a content type that is no text', { url: URL_A, metadata: { contentType: 5 } }, 'invalid_type'],
    [
      'has a content type that is too long',
      { url: URL_A, metadata: { contentType: 'x'.repeat(1_025) } },
      'invalid_text',
    ],
    ['has a negative size', { url: URL_A, metadata: { size: -1 } }, 'invalid_number'],
    ['has a size that is too large', { url: URL_A, metadata: { size: 2 ** 53 } }, 'invalid_number'],
    ['has a size that is text', { url: URL_A, metadata: { size: '5' } }, 'invalid_type'],
    ['has a number out of range', { url: URL_A, metadata: JSON.parse('{"x":[1e400]}') }, 'invalid_number'],
    ['has a NUL', { url: URL_A, metadata: { x: { y: 'a\0' } } }, 'invalid_text'],
    ['has a lone surrogate in a key', { url: URL_A, metadata: { '\udfff': 1 } }, 'invalid_text'],
    ['is too large', { url: URL_A, metadata: { x: 'x'.repeat(LIMITS.metadataBytes) } }, 'metadata_too_large'],
  ])('%s', (_name, raw, code) => {
    expect(check(raw)).toEqual({ code, message: expect.stringMatching(/^[A-Za-z].*\.$/) })
  })

  test('is nested too deeply', () => {
    let deep: unknown[] = []
    for (let level = 0; level < LIMITS.jsonDepth; level += 1) deep = [deep]
    expect(check({ url: URL_A, metadata: { deep } })).toMatchObject({ code: 'too_deep' })
  })
})

describe('the content hash', () => {
  test('does not depend on the order of keys, at any depth', () => {
    const reversed = (value: unknown): unknown => {
      if (Array.isArray(value)) return value.map(reversed)
      if (typeof value !== 'object' || value === null) return value
      return Object.fromEntries(
        Object.entries(value)
          .reverse()
          .map(([key, member]) => [key, reversed(member)]),
      )
    }
    fc.assert(
      fc.property(fc.dictionary(fc.string({ maxLength: 5 }), fc.jsonValue({ maxDepth: 3 })), (object) => {
        expect(canonicalJson(reversed(object) as object as never, new Set())).toEqual(canonicalJson(object, new Set()))
      }),
    )
  })

  test('is the same only for the same content', () => {
    const contents = [
      {},
      { size: 0 },
      { size: 1 },
      { contentType: '' },
      { contentType: '1' },
      { lastModified: '2026-01-01T00:00:00Z' },
      { lastModified: '2026-01-01T00:00:00.000001Z' },
      { a: '' },
      { a: null },
      { a: [] },
      { a: {} },
      { a: [1, 2] },
      { a: [2, 1] },
      { a: '1' },
      { a: 1 },
      { A: 1 },
      { a: { b: 1 } },
      { 'a.b': 1 },
    ]
    expect(new Set(contents.map(hashOf)).size).toBe(contents.length)
  })

  test('does not cover crawledAt, nor how a time or number is written', () => {
    expect(hashOf({ crawledAt: '2026-01-01T00:00:00Z' })).toBe(hashOf({}))
    expect(hashOf({ lastModified: '2026-01-01T01:00:00.0+01:00' })).toBe(
      hashOf({ lastModified: '2026-01-01T00:00:00Z' }),
    )
    expect(hashOf(JSON.parse('{"a":1.0,"b":-0}'))).toBe(hashOf({ a: 1, b: 0 }))
  })

  test('stays what it is: another one would make every stored document look changed', () => {
    const metadata = {
      lastModified: '2026-01-01T00:00:00Z',
      contentType: 'text/html',
      size: 5,
      b: [1, { d: 1, c: 'ü' }],
      a: null,
    }
    expect(hashOf(metadata)).toMatchInlineSnapshot(`"017f75353c86d18d8a546f0e51f5f54b36"`)
    expect(hashOf({})).toMatchInlineSnapshot(`"0177e7fd886e76853250c6235882ec93cf"`)
  })
})
