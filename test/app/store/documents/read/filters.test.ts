import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { MEDIA_TYPE, mediaTypeOf, normalFilters } from '../../../../../app/store/documents/read/filters.ts'
import { createTestDatabase } from '../../../../support/database.ts'

const db = await createTestDatabase()

/** What PostgreSQL makes of each content type. */
async function inSql(contentTypes: string[]): Promise<string[]> {
  const source = 'SELECT n, t COLLATE "C" AS content_type FROM unnest($1::text[]) WITH ORDINALITY AS sent (t, n)'
  const text = `SELECT ${MEDIA_TYPE} AS type FROM (${source}) AS given ORDER BY n`
  return (await db.query<{ type: string }>(text, [contentTypes])).map(({ type }) => type)
}

describe('the media type of a content type', () => {
  test.each([
    ['text/html', 'text/html'],
    ['Text/HTML; charset=utf-8', 'text/html'],
    [' text/html\t;a;b', 'text/html'],
    ['application/xhtml xml', 'application/xhtml+xml'],
    ['application/xhtml+xml', 'application/xhtml+xml'],
    [';', ''],
    ['', ''],
    [' ', ''],
  ])('of %j is %j', (contentType, type) => expect(mediaTypeOf(contentType)).toBe(type))

  test('is the same in the filter and in the database, whatever the text', async () => {
    const character = fc.oneof(
      fc.constantFrom(' ', '\t', ';', '+', '/', 'A', 'z', 'Ü', 'İ', '\u212a', '\n', '\u00a0'),
      fc.string({ unit: 'binary', maxLength: 1 }),
    )
    const text = fc.array(character, { maxLength: 12 }).map((characters) => characters.join('').replaceAll('\0', ''))
    await fc.assert(
      fc.asyncProperty(fc.array(text, { minLength: 1, maxLength: 100 }), async (contentTypes) => {
        expect(await inSql(contentTypes)).toEqual(contentTypes.map(mediaTypeOf))
      }),
      { numRuns: 50 },
    )
  })

  test('is found in time in a text that is nothing but spaces', () => {
    expect(mediaTypeOf(`a${' '.repeat(1_000_000)}b`)).toHaveLength(1_000_002)
  })
})

test('filters are as before where they are not about hosts or content types', () => {
  const filters = { status: 'A ', updatedAfter: '2026-01-01T00:00:00.000000Z', host: undefined }
  expect(normalFilters(filters)).toEqual(filters)
  expect(normalFilters({ host: 'A.Example.', contentType: 'A/B;c' })).toEqual({ host: 'a.example', contentType: 'a/b' })
})
