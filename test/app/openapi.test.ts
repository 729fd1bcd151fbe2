import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { ACCESS_LEVELS } from '../../app/contract.ts'
import { openApiText } from '../../app/plugins/openapi.ts'
import { buildTestApp } from '../support/app.ts'

type Operation = {
  operationId?: string
  summary?: string
  security?: object[]
  'x-access'?: string
  responses: Record<string, object>
}
type Document = { openapi: string; paths: Record<string, Record<string, Operation>>; components: object }

const app = await buildTestApp()
const document: Document = (await app.inject('/openapi.json')).json()
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ name: `${method.toUpperCase()} ${path}`, operation })),
)

const CALLS = ['api.md', 'api/documents.md', 'api/import-export.md', 'api/queues.md']

describe('the documentation', () => {
  const text = CALLS.map((name) => readFileSync(join(import.meta.dirname, '../../docs', name), 'utf8')).join('\n')

  test.each(operations.map(({ name }) => name))('tells of %s', (name) => {
    expect(text).toContain(`\`${name}\``)
  })
})

describe('openapi.json', () => {
  test('is the committed file (npm run openapi writes it)', () => {
    expect(openApiText(app)).toBe(readFileSync(join(import.meta.dirname, '../../docs/openapi.json'), 'utf8'))
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

  test('shows the document of this service', async () => {
    const initializer = (await app.inject('/docs/static/swagger-initializer.js')).body
    expect(initializer).toContain("resolveUrl('./json')")
    expect(initializer).toContain('validatorUrl: null')
    expect((await app.inject('/docs/json')).json()).toEqual(document)
  })
})
