import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { describe, expect, test } from 'vitest'
import { ACCESS_LEVELS } from '../../../../app/contract.ts'
import { openApiText } from '../../../../app/plugins/openapi/openapi.ts'
import { buildTestApp } from '../../../support/app.ts'

type Operation = {
  operationId?: string
  summary?: string
  security?: object[]
  'x-access'?: string
  requestBody?: object
  parameters?: { name: string; description?: string }[]
  responses: Record<string, object>
}
type Schema = {
  type?: string | string[]
  enum?: string[]
  required?: string[]
  items?: Schema
  anyOf?: Schema[]
  properties?: Record<string, Schema | undefined>
}
type Document = { openapi: string; paths: Record<string, Record<string, Operation>>; components: object }

const authenticator = { authenticate: () => ({ name: 'anyone', access: 'Admin' as const }) }
const app = await buildTestApp({ env: { AUTH: 'kubernetes' }, parts: { authenticator } })
const document: Document = (await app.inject('/openapi.json')).json()
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ name: `${method.toUpperCase()} ${path}`, operation })),
)

const OPERATIONS = ['push', 'pop', 'peek', 'ack', 'nack', 'extend']
const CALLS = ['api.md', 'api/documents.md', 'api/import-export.md', 'api/queues.md']

describe('the documentation', () => {
  const text = CALLS.map((name) => readFileSync(join(import.meta.dirname, '../../../../docs', name), 'utf8')).join('\n')

  test.each(operations.map(({ name }) => name))('tells of %s', (name) => {
    expect(text).toContain(`\`${name}\``)
  })
})

describe('openapi.json', () => {
  test('is the committed file (npm run openapi writes it)', () => {
    expect(openApiText(app)).toBe(readFileSync(join(import.meta.dirname, '../../../../docs/openapi.json'), 'utf8'))
  })

  test('is OpenAPI 3.1', () => {
    expect(document.openapi).toBe('3.1.0')
    expect(document.components).toHaveProperty('schemas.Problem')
  })

  test('every reference leads somewhere', () => {
    const references = JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g)
    for (const [, path = ''] of references) expect(document).toHaveProperty(path.split('/'))
  })

  test('every operation has an id of its own, a summary, a level and a problem', () => {
    const ids = operations.map(({ operation }) => operation.operationId)
    expect(new Set(ids).size).toBe(ids.length)
    for (const { name, operation } of operations) {
      expect(operation.operationId, name).toMatch(/^[a-z][A-Za-z]+$/)
      expect(operation.summary, name).toBeTruthy()
      expect(operation.responses.default, name).toMatchObject({
        content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
      })
      const isOpen = operation.security?.length === 0
      expect(isOpen || (ACCESS_LEVELS as readonly unknown[]).includes(operation['x-access']), name).toBe(true)
    }
  })

  test('only the probes are open', () => {
    const open = operations.filter(({ operation }) => operation.security?.length === 0)
    expect(open.map(({ name }) => name).sort()).toEqual(['GET /health', 'GET /livez', 'GET /readyz'])
  })
})

describe('what is described', () => {
  const request = (path: string, method: string) =>
    document.paths[path]?.[method]?.requestBody as {
      required: boolean
      content: Record<string, { schema: Schema; examples?: Record<string, { value: unknown }> }>
    }
  const json = (path: string, method = 'post') => request(path, method).content['application/json']?.schema ?? {}

  test('a key that may be absent may be null, at any depth of a body, and no other', () => {
    const options = json('/api/queues/{queue}', 'put').properties ?? {}
    expect(options.deadLetter?.type).toEqual(['string', 'null'])
    expect(options.politeness?.properties?.maxActive?.type).toEqual(['integer', 'null'])
    const enqueue = json('/api/documents').properties?.enqueue?.items?.properties ?? {}
    expect(enqueue.unlessStored?.type).toEqual(['boolean', 'null'])
    expect(enqueue.items?.type).toBe('array')
    expect(json('/api/queue').anyOf?.[0]?.properties?.items?.items?.properties?.priority?.type).toEqual([
      'integer',
      'null',
    ])
  })

  test('updatedAfter is a filter and not a way to follow changes', () => {
    const parameters = operations.flatMap(({ operation }) => operation.parameters ?? [])
    const described = parameters.filter(({ name }) => name === 'updatedAfter').map(({ description }) => description)
    expect(described).toEqual(Array(2).fill(expect.stringContaining('not a way to follow changes')))
  })

  test('a look-up has ids or urls, and each operation of a queue its own keys', () => {
    expect(json('/api/documents/lookup').anyOf?.map(({ required }) => required)).toEqual([['ids'], ['urls']])
    const forms = json('/api/queue').anyOf ?? []
    expect(forms.map(({ properties }) => properties?.operation?.enum?.[0])).toEqual(OPERATIONS)
    expect(Object.keys(forms[2]?.properties ?? {})).toEqual(['operation', 'queue', 'items', 'count'])
  })

  test('each operation of a queue has an example, which its form takes', () => {
    const { examples, schema } = request('/api/queue', 'post').content['application/json'] ?? {}
    expect(Object.keys(examples ?? {})).toEqual(OPERATIONS)
    const ajv = new Ajv2020({ strict: false, validateFormats: false })
    for (const [index, { value }] of Object.values(examples ?? {}).entries()) {
      expect(ajv.validate(schema?.anyOf?.[index] ?? false, value), JSON.stringify(value)).toBe(true)
    }
  })

  test.each([
    ['/api/documents/import', 'post', 'ImportLine'],
    ['/api/documents/export', 'get', 'ExportLine'],
  ])('the lines of %s have a name, for generators', (path, method, line) => {
    const answer = document.paths[path]?.[method]?.responses[200]
    expect(answer).toMatchObject({
      content: {
        'application/x-ndjson': { schema: { $ref: `#/components/schemas/${line}` } },
      },
    })
    expect(document.components).toHaveProperty(['schemas', line])
  })

  test('a body has to be sent, but for a redrive', () => {
    expect(request('/api/documents', 'post').required).toBe(true)
    expect(request('/api/queues/{queue}/redrive', 'post').required).toBe(false)
    expect(json('/api/queues/{queue}/redrive').type).toEqual(['object', 'null'])
    expect(JSON.stringify(document)).not.toContain('x-optional-body')
  })

  test('with AUTH=none no credential is asked for', async () => {
    const open = await buildTestApp()
    const described = (await open.inject('/openapi.json')).json()
    expect(described).not.toHaveProperty('security')
    expect(described.components).not.toHaveProperty('securitySchemes')
    expect(document).toMatchObject({ security: [{ bearer: [] }], components: { securitySchemes: { bearer: {} } } })
  })
})

describe('the page', () => {
  test('loads nothing from outside', async () => {
    const page = await app.inject('/docs/')
    expect(page.statusCode).toBe(200)
    const loaded = [...page.body.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, address]) => address ?? '')
    expect(loaded.length).toBeGreaterThan(3)
    for (const address of loaded) {
      const { origin, pathname } = new URL(address, 'http://here/docs/')
      expect(origin).toBe('http://here')
      expect((await app.inject(pathname)).statusCode, pathname).toBe(200)
    }
  })

  test('is forbidden to, by its content security policy', async () => {
    for (const url of ['/docs/', '/docs/static/swagger-initializer.js', '/docs/static/swagger-ui-bundle.js']) {
      const policy = String((await app.inject(url)).headers['content-security-policy'])
      expect(policy).toMatch(/^default-src 'none'; script-src 'self';/)
      expect(policy).not.toMatch(/https?:|\*|unsafe-eval|script-src[^;]*unsafe/)
    }
  })

  test('shows a picture that is one', async () => {
    const initializer = (await app.inject('/docs/static/swagger-initializer.js')).body
    const [, picture = ''] = /data:image\/svg\+xml;base64,([\w+/=]*)/.exec(initializer) ?? []
    expect(Buffer.from(picture, 'base64').toString()).toMatch(/^<svg .*<\/svg>$/)
  })

  test('shows the document of this service', async () => {
    const initializer = (await app.inject('/docs/static/swagger-initializer.js')).body
    expect(initializer).toContain("resolveUrl('./json')")
    expect(initializer).toContain('validatorUrl: null')
    expect((await app.inject('/docs/json')).json()).toEqual(document)
  })
})
