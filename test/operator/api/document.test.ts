import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { resourcesDocument } from '../../../operator/api/document/document.ts'
import { fieldRows } from '../../../operator/api/document/fields.ts'
import { ruleLines } from '../../../operator/api/document/rules.ts'
import { toStructural } from '../../../operator/api/schema-to-crd.ts'
import { StorageInstanceSchema, StorageInstanceSpec } from '../../../operator/api/storage-instance.ts'

const DOCS = join(import.meta.dirname, '../../../docs')
const spec = toStructural(StorageInstanceSpec)

test('docs/storageinstance.md is what the schemas say; npm run docs:resources writes it', () => {
  expect(readFileSync(join(DOCS, 'storageinstance.md'), 'utf8')).toBe(resourcesDocument())
})

test('a field is documented with type, default, what is allowed and meaning', () => {
  const rows = fieldRows(spec, '')
  expect(rows.find(({ path }) => path === 'api.poolSize')).toMatchObject({
    type: 'integer',
    default: '`20`',
    allowed: '1 to 1000',
    description: expect.stringContaining('Maximum number of database connections per pod.'),
  })
  expect(rows.find(({ path }) => path === 'queues')).toMatchObject({ type: 'list of object by name', default: '`[]`' })
  expect(rows.find(({ path }) => path === 'queues[].name')).toMatchObject({ default: 'required' })
  expect(rows.find(({ path }) => path === 'api.resources.limits')).toMatchObject({ type: 'map of quantity' })
})

test('a rule is documented by its place and message', () => {
  const lines = ruleLines(toStructural(StorageInstanceSchema), '')
  expect(lines).toContain('- `spec.database`: at most one of managed, external may be set; remove the other.')
  expect(lines.filter((line) => line.startsWith('- `spec.api.replicas`: replicas cannot be changed'))).toHaveLength(1)
})

test('the full sample has every part of the spec, and each field that it names exists', () => {
  const sample = parse(readFileSync(join(DOCS, 'samples/storageinstance-full.yaml'), 'utf8')) as { spec: object }
  expect(Object.keys(sample.spec).toSorted()).toEqual(Object.keys(spec.properties ?? {}).toSorted())
})
