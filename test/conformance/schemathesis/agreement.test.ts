/** The OpenAPI document and the service agree: what the document allows is taken, what it does not is not, answers are as described. */
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { isLong, seed } from '../../fault/form.ts'
import { startTestService } from '../../support/service.ts'
import { temporaryFolder } from '../../support/temporary.ts'
import { schemathesis } from './program.ts'
import { type Report, readReport } from './report.ts'

const EXAMPLES = isLong ? 200 : 10
const TIMEOUT_MS = 1_800_000
const TOKEN = 'the-token-of-an-administrator'
const KNOWN = { id: '018f0000-0000-7000-8000-00000000000a', queue: 'known', host: 'known.example' }

const { paths } = JSON.parse(readFileSync('docs/openapi.json', 'utf8')) as { paths: Record<string, object> }
const operations = Object.entries(paths).flatMap(([path, methods]) =>
  Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
)

let report: Report

beforeAll(async () => {
  const folder = await temporaryFolder()
  const tokens = join(folder, 'tokens')
  await writeFile(tokens, `Admin ${TOKEN} administrator\n`)
  const service = await startTestService({ env: { AUTH: 'token', AUTH_TOKENS_FILE: tokens } })
  const headers = { authorization: `Bearer ${TOKEN}` }
  await service.call('PUT', `/api/queues/${KNOWN.queue}`, {}, headers)
  await service.call(
    'POST',
    '/api/documents',
    { documents: [{ id: KNOWN.id, url: 'https://known.example/' }] },
    headers,
  )

  const files = { json: join(folder, 'report.json'), ndjson: join(folder, 'report.ndjson') }
  const bounds = ['--max-examples', String(EXAMPLES), '--seed', String(seed), '--request-timeout', '30']
  const reports = ['--report-json-path', files.json, '--report-ndjson-path', files.ndjson]
  const how = ['--phases', 'examples,coverage,fuzzing', '--continue-on-failure', '--generation-database', 'none']
  const who = ['--header', `Authorization: ${headers.authorization}`]
  const args = [`${service.url}/openapi.json`, ...who, ...how, ...bounds, ...reports]
  await schemathesis(folder, args, { KNOWN: JSON.stringify(KNOWN) })
  report = await readReport(files)
}, TIMEOUT_MS)

test.each(operations)('%s', (operation) => {
  expect(textsOf((finding) => finding === operation)).toEqual([])
  expect(report.accepted.get(operation)).toBeGreaterThan(0)
})

test('no method that is not described', () => {
  expect(textsOf((finding) => !operations.includes(finding))).toEqual([])
})

test(`each operation was tested, and without an error (seed ${seed})`, () => {
  expect(report.errors).toEqual([])
  expect(report.tested).toBe(operations.length)
})

function textsOf(isWanted: (operation: string) => boolean): string[] {
  const texts = report.findings.filter(({ operation }) => isWanted(operation)).map(({ text }) => text)
  return [...new Set(texts)].slice(0, 3)
}
