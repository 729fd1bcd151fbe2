import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import Type from 'typebox'
import { describe, expect, test } from 'vitest'
import { CONDITION_TYPES, RESERVED_CONDITION_TYPES } from '../../../operator/api/conditions.ts'
import { CRDS } from '../../../operator/api/crds.ts'
import { type FieldRow, fieldRows } from '../../../operator/api/document/fields.ts'
import { hasNote, NOT_IMPLEMENTED } from '../../../operator/api/not-implemented.ts'
import { REASONS, RESERVED_REASONS } from '../../../operator/api/reasons.ts'
import { toStructural } from '../../../operator/api/schema-to-crd.ts'

const OPERATOR = join(import.meta.dirname, '../../../operator')

/** What the operator does, without the description of its resources. */
const code = globSync('**/*.ts', { cwd: OPERATOR })
  .filter((path) => !path.startsWith('api/'))
  .map((path) => withoutComments(readFileSync(join(OPERATOR, path), 'utf8')))
  .join('\n')
const codeWithoutTexts = code.replaceAll(/'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"/g, "''")

function withoutComments(source: string): string {
  return source.replaceAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '')
}

/** Whether a field of this name is read or written: `.name`, or a key of an object. `name: _name` only leaves it out. */
function isUsed(name: string): boolean {
  return new RegExp(`\\.${name}\\b|[{,]\\s*${name}\\s*(?=[,}=]|:(?! _))`).test(codeWithoutTexts)
}

function isNamed(text: string): boolean {
  return code.includes(`'${text}'`)
}

function rowsOf(kind: string): FieldRow[] {
  const schema = CRDS.find(({ spec }) => spec.names.kind === kind)?.spec.versions[0]?.schema.openAPIV3Schema
  return ['spec', 'status'].flatMap((part) => fieldRows(schema?.properties?.[part] ?? {}, part))
}

const instance = rowsOf('StorageInstance')
const marked = instance.filter(({ description }) => hasNote(description)).map(({ path }) => path)
const lastName = (path: string) => path.split('.').at(-1) ?? ''

describe('a field that is marked as not implemented', () => {
  test('says so, and so does everything below it', () => {
    const schema = Type.Object(
      { on: Type.Object({ at: Type.Array(Type.String({ description: 'A time.' })) }, NOT_IMPLEMENTED) },
      { description: 'A switch.' },
    )
    expect(toStructural(schema)).toMatchObject({
      description: 'A switch.',
      properties: { on: { properties: { at: { items: { description: 'Not implemented yet. A time.' } } } } },
    })
  })

  test('is used nowhere in the operator', () => {
    const roots = marked.filter((path) => !marked.some((other) => path.startsWith(`${other}.`)))
    expect(roots).toEqual([
      'spec.migrations.rehearse',
      'spec.backup',
      'spec.maintenance.vacuum',
      'spec.maintenance.reindex',
      'spec.maintenance.documents',
      'spec.maintenance.queues',
      'spec.maintenance.suspend',
      'status.backup',
      'status.maintenance',
      'status.runs.backup',
      'status.runs.verify',
      'status.runs.restore',
      'status.runs.maintain',
      'status.runTokens.maintain',
    ])
    // A name that an implemented field has as well says nothing.
    const others = instance.filter(({ path }) => !marked.includes(path)).map(({ path }) => lastName(path))
    expect(roots.map(lastName).filter((name) => isUsed(name) && !others.includes(name))).toEqual([])
  })

  test('has a column that says so', () => {
    const columns = CRDS.flatMap(({ spec }) => spec.versions[0]?.additionalPrinterColumns ?? [])
    const notes = columns.filter(({ description }) => hasNote(description)).map(({ name }) => name)
    expect(notes.slice(0, 3)).toEqual(['Last Backup', 'Verified', 'Next Backup'])
    expect(notes).not.toContain('Instance')
  })
})

test('every other field of a StorageInstance is used, on its own or with the list that it belongs to', () => {
  const others = instance.map(({ path }) => path).filter((path) => !marked.includes(path) && !path.includes('[]'))
  expect(others.length).toBeGreaterThan(90)
  expect(others.filter((path) => !isUsed(lastName(path)))).toEqual([])
})

test('a kind is marked where nothing watches or reads its objects', () => {
  const constants = {
    StorageInstance: 'STORAGE_INSTANCES',
    StorageBackup: 'STORAGE_BACKUPS',
    StorageRestore: 'STORAGE_RESTORES',
  }
  for (const { spec } of CRDS) {
    const constant = constants[spec.names.kind as keyof typeof constants]
    const uses = code.match(new RegExp(`\\b${constant}\\b`, 'g')) ?? []
    // Its definition, and its place in the list of all.
    expect(hasNote(spec.versions[0]?.schema.openAPIV3Schema.description), constant).toBe(uses.length === 2)
  }
})

describe('reasons and conditions', () => {
  test('that are documented as emitted are named in the code', () => {
    expect(Object.keys(REASONS).filter((reason) => !isNamed(reason))).toEqual([])
    expect(CONDITION_TYPES.filter((type) => !isNamed(type))).toEqual([])
  })

  test('that are documented as not emitted are not', () => {
    expect(Object.keys(RESERVED_REASONS).filter(isNamed)).toEqual([])
    expect(RESERVED_CONDITION_TYPES.filter(isNamed)).toEqual([])
  })
})
