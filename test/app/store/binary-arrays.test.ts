import fc from 'fast-check'
import pg from 'pg'
import { describe, expect, inject, test } from 'vitest'
import {
  byteaArray,
  int8Array,
  jsonbArray,
  textArray,
  timestamptzArray,
  uuidArray,
} from '../../../app/store/binary-arrays.ts'
import { atEndOfFile } from '../../support/end-of-file.ts'

const client = new pg.Client({ connectionString: inject('postgresUrl') })
await client.connect()
await client.query(`SET TIME ZONE 'UTC'`)
atEndOfFile(() => client.end())

/** What PostgreSQL reads from an array, each member as its text. */
async function read(type: string, array: Buffer): Promise<(string | null)[]> {
  const text = `SELECT COALESCE(json_agg(v::text ORDER BY n), '[]') AS texts
    FROM unnest($1::${type}[]) WITH ORDINALITY AS members (v, n)`
  const { rows } = await client.query(text, [array])
  return rows[0].texts
}

function optional<T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<(T | null)[]> {
  return fc.array(fc.option(arbitrary), { maxLength: 20 })
}

async function holds<T>(arbitrary: fc.Arbitrary<T>, property: (value: T) => Promise<void>): Promise<void> {
  await fc.assert(fc.asyncProperty(arbitrary, property), { numRuns: 50 })
}

describe('PostgreSQL reads as it was meant an array of', () => {
  test('texts', async () => {
    const text = fc.string({ unit: 'binary', maxLength: 30 }).filter((value) => !value.includes('\0'))
    await holds(optional(text), async (values) => {
      expect(await read('text', textArray(values))).toEqual(values)
    })
  })

  test('UUIDs', async () => {
    await holds(optional(fc.uuid()), async (values) => {
      expect(await read('uuid', uuidArray(values))).toEqual(values)
    })
  })

  test('integers', async () => {
    await holds(optional(fc.maxSafeInteger()), async (values) => {
      const texts = values.map((value) => (value === null ? null : String(value)))
      expect(await read('bigint', int8Array(values))).toEqual(texts)
    })
  })

  test('times, to the microsecond, from year 1 to 9999', async () => {
    const range = {
      min: new Date('0001-01-01T00:00:00Z'),
      max: new Date('9999-12-31T23:59:59.999Z'),
      noInvalidDate: true,
    }
    const time = fc
      .tuple(fc.date(range), fc.integer({ min: 0, max: 999 }))
      .map(([date, micros]) => date.toISOString().replace('Z', `${String(micros).padStart(3, '0')}Z`))
    await holds(optional(time), async (values) => {
      const { rows } = await client.query(
        `SELECT COALESCE(json_agg(to_char(v, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') ORDER BY n), '[]') AS texts
         FROM unnest($1::timestamptz[]) WITH ORDINALITY AS members (v, n)`,
        [timestamptzArray(values)],
      )
      expect(rows[0].texts).toEqual(values)
    })
  })

  test('JSON values', async () => {
    const json = fc.jsonValue({ noUnicodeString: false }).map((value) => JSON.stringify(value))
    const storable = json.filter((text) => !text.includes('\\u'))
    await holds(fc.array(storable, { maxLength: 10 }), async (values) => {
      const texts = (await read('jsonb', jsonbArray(values))) as string[]
      expect(texts.map((text) => JSON.parse(text))).toEqual(values.map((text) => JSON.parse(text)))
    })
  })

  test('bytes', async () => {
    const hex = fc.uint8Array({ minLength: 3, maxLength: 3 }).map((bytes) => Buffer.from(bytes).toString('hex'))
    await holds(optional(hex), async (values) => {
      const texts = values.map((value) => (value === null ? null : `\\x${value}`))
      expect(await read('bytea', byteaArray(values, 3))).toEqual(texts)
    })
  })
})
