import { describe, expect, test } from 'vitest'
import { LOG_LEVELS, VARIABLES } from '../../../app/config/variables.ts'
import { ACCESS_LEVELS, LIMITS } from '../../../app/contract.ts'
import { CRDS } from '../../../operator/api/crds.ts'
import {
  OWNED_DATABASE_ENVIRONMENT,
  OWNED_ENVIRONMENT,
  OWNED_PARAMETERS,
  OWNED_TASK_ENVIRONMENT,
} from '../../../operator/api/owned-settings.ts'
import type { StructuralSchema } from '../../../operator/api/schema-to-crd.ts'
import { databaseOf, destinationOf } from '../../../operator/api/unions.ts'
import { DEFAULT_RESOURCES } from '../../../operator/desired/container-resources.ts'

type Node = { path: string; schema: StructuralSchema }
type Rule = { rule: string; message: string; fieldPath?: string }

/** Every field of a schema, with its path. */
function fieldsOf(schema: StructuralSchema, path: string): Node[] {
  const below = Object.entries(schema.properties ?? {}).flatMap(([name, field]) => fieldsOf(field, `${path}.${name}`))
  const items = schema.items === undefined ? [] : fieldsOf(schema.items, `${path}[]`)
  const values = schema.additionalProperties === undefined ? [] : fieldsOf(schema.additionalProperties, `${path}{}`)
  return [{ path, schema }, ...below, ...items, ...values]
}

const roots = CRDS.map((crd) => ({
  kind: String(crd.spec.names.kind),
  schema: crd.spec.versions[0]?.schema.openAPIV3Schema as StructuralSchema,
}))
const fields = roots.flatMap(({ kind, schema }) => fieldsOf(schema, kind))
const specFields = fields.filter(({ path }) => /^\w+\.spec\b/.test(path))

function field(path: string): StructuralSchema {
  const found = fields.find((node) => node.path === path)
  if (found === undefined) throw new Error(`no field ${path}`)
  return found.schema
}

function pathsWhere(nodes: Node[], offends: (schema: StructuralSchema) => boolean): string[] {
  return nodes.filter(({ schema }) => offends(schema)).map(({ path }) => path)
}

const rulesOf = (schema: StructuralSchema) => (schema['x-kubernetes-validations'] ?? []) as Rule[]

describe('the schemas of the resources', () => {
  test('describe every field in a sentence', () => {
    const named = fields.filter(({ path }) => !/(\.metadata|\[\]|\{\})$/.test(path))
    expect(pathsWhere(named, ({ description = '' }) => !/^[A-Z"'0-9{].*\.$/s.test(description))).toEqual([])
  })

  test('name each default in the description of the field', () => {
    const plain = specFields.filter(({ schema }) => schema.default !== undefined && typeof schema.default !== 'object')
    const untold = plain.filter(({ schema }) => !/Default .*\.|default is /.test(schema.description ?? ''))
    expect(untold.map(({ path }) => path)).toEqual([])
    const wrong = plain.filter(({ schema }) => !schema.description?.includes(String(schema.default)))
    expect(wrong.map(({ path }) => path)).toEqual([])
  })

  test('are structural: a type or int-or-string everywhere, and never properties beside additionalProperties', () => {
    expect(pathsWhere(fields, (schema) => !schema.type && !schema['x-kubernetes-int-or-string'])).toEqual([])
    expect(pathsWhere(fields, (schema) => Boolean(schema.properties && schema.additionalProperties))).toEqual([])
    expect(pathsWhere(fields, (schema) => (schema.type === 'array') !== (schema.items !== undefined))).toEqual([])
  })

  test('let unknown fields pass nowhere but in affinity', () => {
    expect(pathsWhere(fields, (schema) => schema['x-kubernetes-preserve-unknown-fields'] === true)).toEqual([
      'StorageInstance.spec.database.managed.podTemplate.affinity',
      'StorageInstance.spec.api.podTemplate.affinity',
      'StorageInstance.spec.tasks.podTemplate.affinity',
    ])
  })

  test('require the keys of lists, or fill them', () => {
    const lists = fields.filter(({ schema }) => schema['x-kubernetes-list-type'] === 'map')
    const loose = lists.flatMap(({ path, schema }) => {
      const keys = schema['x-kubernetes-list-map-keys'] as string[]
      return keys.filter((key) => !schema.items?.required?.includes(key)).map((key) => `${path} ${key}`)
    })
    expect(lists.length).toBeGreaterThan(6)
    expect(loose).toEqual([])
  })

  test('bound what a user writes, so that no rule costs without limit', () => {
    expect(pathsWhere(specFields, ({ type, maxItems }) => type === 'array' && maxItems === undefined)).toEqual([])
    const open = (schema: StructuralSchema) =>
      schema.type === 'object' && schema.additionalProperties !== undefined && schema.maxProperties === undefined
    expect(pathsWhere(specFields, open)).toEqual([])
  })

  test('give no member of a union a default', () => {
    const unions = {
      'StorageInstance.spec.database': ['managed', 'external'],
      'StorageInstance.spec.backup.destination': ['persistentVolumeClaim', 's3'],
      'StorageRestore.spec.target': ['latest', 'time', 'lsn', 'restorePoint'],
      'StorageRestore.spec.into': ['instance', 'database', 'scratch'],
    }
    for (const [path, members] of Object.entries(unions)) {
      expect(field(path).default, path).toBeUndefined()
      expect(Object.keys(field(path).properties ?? {}), path).toEqual(members)
      expect(members.map((member) => field(`${path}.${member}`).default)).toEqual(members.map(() => undefined))
    }
  })

  test('give each rule a message that says what to do, in one line', () => {
    const rules = fields.flatMap(({ schema }) => rulesOf(schema))
    expect(rules.length).toBeGreaterThan(15)
    expect(rules.filter(({ message }) => message.length < 20 || /\n/.test(message))).toEqual([])
  })

  test('begin with a status that nothing has been seen yet', () => {
    for (const { kind } of roots) {
      expect(field(`${kind}.status`).default).toEqual({ observedGeneration: -1 })
      expect(field(`${kind}.status.observedGeneration`).default).toBe(-1)
    }
  })
})

describe('what the resources and the service agree upon', () => {
  test('are levels of access and of logging', () => {
    expect(field('StorageInstance.spec.api.auth.allow[].access').enum).toEqual([...ACCESS_LEVELS])
    expect(field('StorageInstance.spec.api.logLevel').enum).toEqual([...LOG_LEVELS])
  })

  test('are the names of queues', () => {
    expect(field('StorageInstance.spec.queues[].name').maxLength).toBe(LIMITS.queueNameLength)
  })

  test('are the variables that the operator sets', () => {
    const known = new Set(['SCHEMA_CHECK_INTERVAL', ...Object.keys(VARIABLES)])
    const files = OWNED_ENVIRONMENT.filter((name) => name.endsWith('_URL_FILE'))
    expect(OWNED_ENVIRONMENT.filter((name) => !known.has(name) && !files.includes(name))).toEqual([])
  })

  test('are the resources of containers where none are asked for', () => {
    const { requests, limits } = DEFAULT_RESOURCES.api
    const { requests: asked, limits: most } = DEFAULT_RESOURCES.database
    expect(field('StorageInstance.spec.api.resources').description).toContain(
      `${requests.cpu} and ${requests.memory} requested, ${limits.memory} as memory limit`,
    )
    expect(field('StorageInstance.spec.database.managed.resources').description).toContain(
      `${asked.cpu} and ${asked.memory} requested, ${most.memory} as limit`,
    )
  })

  test('are settings that are listed once, in order', () => {
    for (const list of [OWNED_ENVIRONMENT, OWNED_DATABASE_ENVIRONMENT, OWNED_TASK_ENVIRONMENT, OWNED_PARAMETERS]) {
      expect([...new Set(list)].toSorted()).toEqual([...list])
    }
  })
})

describe('a union without a member', () => {
  const backup = { destination: {} } as Parameters<typeof destinationOf>[0]['backup']

  test('is the first one, with the defaults that its schema has', () => {
    expect(databaseOf({})).toEqual({
      kind: 'Managed',
      storage: { size: '10Gi' },
      resources: {},
      parameters: {},
      podTemplate: {},
    })
    expect(destinationOf({ backup })).toEqual({ kind: 'Volume', size: '20Gi' })
    expect(field('StorageInstance.spec.database.managed.storage.size').default).toBe('10Gi')
    expect(field('StorageInstance.spec.backup.destination.persistentVolumeClaim.size').default).toBe('20Gi')
  })

  test('is the one that is given', () => {
    const secretRef = { name: 'crawl-app', key: 'uri' }
    expect(databaseOf({ database: { external: { secretRef } } })).toEqual({ kind: 'External', secretRef })
    const s3 = { bucket: 'backups', prefix: '' }
    expect(destinationOf({ backup: { ...backup, destination: { s3 } } })).toEqual({ kind: 'S3', ...s3 })
  })
})
