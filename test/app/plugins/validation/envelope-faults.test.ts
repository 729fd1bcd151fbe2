import { Ajv } from 'ajv'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { findFaults } from '../../../../app/plugins/validation/envelope-faults.ts'
import type { JsonSchema } from '../../../../app/plugins/validation/null-dropper.ts'
import { closeObjects } from '../../../../app/plugins/validation/unknown-keys.ts'
import { DeleteDocuments, ListDocuments, LookupDocuments, PostDocuments } from '../../../../app/schemas/documents.ts'
import { ExportDocuments } from '../../../../app/schemas/export.ts'
import { QueueRequest } from '../../../../app/schemas/queue.ts'
import { BrowseQuery, HostPath, HostSettings, QueueOptions, QueuePath } from '../../../../app/schemas/queues.ts'

const BODY = { noun: 'key', whole: 'body', isText: false }
const QUERY = { noun: 'query parameter', whole: 'query', isText: true }
const SCHEMAS = {
  DeleteDocuments,
  LookupDocuments,
  PostDocuments,
  QueueRequest,
  QueueOptions,
  HostSettings,
  ListDocuments,
  ExportDocuments,
  BrowseQuery,
  HostPath,
  QueuePath,
} as unknown as Record<string, JsonSchema>
/** What Ajv says of schemas that items are left out of is not the question here. */
const OPTIONS = { strict: false, validateFormats: false, meta: false, validateSchema: false } as const

/** Values of any form, with the keys of the schema among theirs. */
function values(schema: JsonSchema): fc.Arbitrary<unknown> {
  const leaf = fc.oneof(fc.integer({ min: -2, max: 20_000 }), fc.double(), fc.boolean(), fc.constant(null))
  const text = fc.constantFrom(
    '',
    'a',
    'a b',
    'pop',
    'waiting',
    'id,url',
    'id,,',
    'x'.repeat(300),
    '\u{1f600}'.repeat(200),
  )
  const inner = fc.oneof(leaf, text, fc.array(fc.oneof(leaf, text), { maxLength: 3 }))
  const keys = namesIn(schema)
  const key = fc.constantFrom(...keys, 'unknown')
  const object = fc.dictionary(key, fc.oneof(inner, fc.dictionary(key, inner, { maxKeys: 3 })), { maxKeys: 6 })
  return fc.oneof(
    object,
    fc.dictionary(key, fc.oneof(inner, fc.array(object, { maxLength: 3 })), { maxKeys: 6 }),
    inner,
  )
}

function namesIn(schema: unknown): string[] {
  if (typeof schema !== 'object' || schema === null) return []
  const { properties = {} } = schema as { properties?: object }
  return [...Object.keys(properties), ...Object.values(schema).flatMap(namesIn)]
}

describe.each(Object.entries(SCHEMAS))('%s', (_name, schema) => {
  test('faults are found where Ajv finds one, and nowhere else', () => {
    const isRight = closeObjects(new Ajv(OPTIONS)).compile(schema)
    fc.assert(
      fc.property(values(schema), (value) => {
        expect(findFaults(schema, value, BODY).length === 0, JSON.stringify(value)).toBe(isRight(value))
      }),
      { numRuns: 1_000 },
    )
  })

  test('no sentence has a hole in it', () => {
    fc.assert(
      fc.property(values(schema), fc.constantFrom(BODY, QUERY), (value, source) => {
        for (const { detail } of findFaults(schema, value, source)) {
          expect(detail).toMatch(/^[A-Z'].*\.$/s)
          expect(detail).not.toMatch(/undefined|NaN|something else|another form| {2}/)
        }
      }),
      { numRuns: 300 },
    )
  })
})

test('the keys of an object are gone through once', () => {
  const isRight = closeObjects(new Ajv(OPTIONS)).compile(SCHEMAS.QueueRequest as JsonSchema)
  let walks = 0
  const keys = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`k${index}`, 0]))
  const body = new Proxy(
    { operation: 'pop', queue: 'a', ...keys },
    {
      ownKeys: (target) => {
        walks += 1
        return Reflect.ownKeys(target)
      },
    },
  )
  expect(isRight(body)).toBe(false)
  expect(findFaults(SCHEMAS.QueueRequest as JsonSchema, body, BODY)).toHaveLength(10)
  expect(walks).toBe(1)
})

test('a body of wrong values costs no more than its first ten', () => {
  const schema = SCHEMAS.LookupDocuments as JsonSchema
  let reads = 0
  const ids = new Proxy(
    Array.from({ length: 1_000 }, () => 1),
    {
      get: (target, key) => {
        reads += 1
        return Reflect.get(target, key)
      },
    },
  )
  expect(findFaults(schema, { ids }, BODY)).toHaveLength(10)
  expect(reads).toBeLessThan(50)
  expect(findFaults(schema, { ids: Array.from({ length: 150_000 }, () => 1) }, BODY)).toMatchObject([
    { pointer: '/ids', detail: "'ids' must be an array of at most 1000 items." },
  ])
})

test.each([
  ['push', 'operation, queue, items'],
  ['peek', 'operation, queue, items, count'],
  ['pop', 'operation, queue, items, count, leaseSeconds, waitSeconds, polite'],
  ['fly', 'operation, queue, items, count, leaseSeconds, waitSeconds, polite'],
  ['constructor', 'operation, queue, items, count, leaseSeconds, waitSeconds, polite'],
])('an unknown key of the operation %s is told the keys of that operation', (operation, allowed) => {
  const schema = SCHEMAS.QueueRequest as JsonSchema
  const faults = findFaults(schema, { operation, queue: 'q', items: [], priority: 1 }, BODY)
  expect(faults.at(-1)?.detail).toBe(`The key "priority" is not known; allowed: ${allowed}.`)
})

test('a key of another operation is unknown', () => {
  const schema = SCHEMAS.QueueRequest as JsonSchema
  const faults = findFaults(schema, { operation: 'push', queue: 'q', items: [], count: 'x' }, BODY)
  expect(faults).toMatchObject([{ pointer: '/count', code: 'unknown_key' }])
})
