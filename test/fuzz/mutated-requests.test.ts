import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { isLong, seed } from '../fault/form.ts'
import { Random } from '../fault/random.ts'
import { type ServiceProcess, startService } from '../fault/service-process.ts'
import { createTestDatabase } from '../support/database.ts'
import { eventually } from '../support/eventually.ts'
import { judge } from './judge.ts'
import { garbage, mutate, toRequest } from './mutate.ts'
import { exchange, type RawRequest, shout, toBytes } from './raw-http.ts'
import { type Known, type Template, validRequests } from './requests.ts'

const COUNT = isLong ? 5_000 : 1_000
const WARM_UP = 300
const AT_A_TIME = 8
/** Prepared statements, definitions of queues and the like may be kept; nothing may be kept for each request. */
const GROWTH_BYTES = 16 * 2 ** 20
const GARBAGE_SHARE = 0.03
const SHOWN_BYTES = 1_500

test(`${COUNT} mutated requests: no 500, every error explained, memory given back (seed ${seed})`, async () => {
  const service = await start()
  const templates = validRequests(await prepare(service.url))
  const random = new Random(seed)
  const tally: Tally = { findings: [], statuses: {} }
  await sendMany(service, WARM_UP, { templates, random, tally })
  const before = await heldBytes(service)
  await sendMany(service, COUNT - WARM_UP, { templates, random, tally })
  expect(tally.findings.slice(0, 5)).toEqual([])
  // Requests that are all refused at the door would say nothing of the rooms behind it.
  expect(tally.statuses[200]).toBeGreaterThan(COUNT / 10)
  expect(tally.statuses[400]).toBeGreaterThan(COUNT / 10)

  expect((await fetch(`${service.url}/readyz`)).status).toBe(200)
  expect((await heldBytes(service)) - before).toBeLessThan(GROWTH_BYTES)
  console.log(`seed ${seed}: ${JSON.stringify(tally.statuses)}`)
  expect(service.log).not.toContain('"level":"error"')
}, 600_000)

test('every route has a valid request to start from, and it is answered', async () => {
  const service = await start()
  const templates = validRequests(await prepare(service.url))
  const { paths } = JSON.parse(await readFile('docs/openapi.json', 'utf8')) as { paths: Record<string, object> }
  const described = Object.entries(paths).flatMap(([path, item]) =>
    Object.keys(item).map((method) => `${method.toUpperCase()} ${path}`),
  )
  const covered = new Set(templates.map(({ method, route }) => `${method} ${route}`))
  expect(described.filter((route) => !covered.has(route))).toEqual([])
  for (const template of templates)
    expect(await answerTo(service, template), JSON.stringify(template)).toBeLessThan(400)
}, 60_000)

async function start(): Promise<ServiceProcess> {
  const { url } = await createTestDatabase()
  return startService({
    databaseUrl: url,
    nodeArguments: ['--expose-gc', '--import', './test/fuzz/collect-garbage.ts'],
    // An import that announces more than it sends is waited for as long as a connection may be silent.
    environment: { REQUEST_TIMEOUT: '1s', IDLE_TIMEOUT: '30s', BODY_LIMIT: '1MiB' },
  })
}

/** Answers what the requests may refer to. */
async function prepare(url: string): Promise<Known> {
  const documentId = '018f0000-0000-7000-8000-00000000000a'
  const storedUrl = 'https://a.example/page'
  const queue = 'fuzz'
  const items = [{ id: 'leased', payload: { url: 'https://d.example/' } }]
  const absent = ['1', '2'].map((digit) => `018f0000-0000-7000-8000-00000000000${digit}`)
  const others = absent.map((id) => ({ id, url: `https://a.example/${id}` }))
  await post(`${url}/api/documents`, { documents: [{ id: documentId, url: storedUrl }, ...others] })
  for (const name of [queue, `${queue}-2`, 'nothing'])
    await post(`${url}/api/queue`, { operation: 'push', queue: name, items })
  await fetch(`${url}/api/queues/${queue}/hosts/d.example`, { method: 'PUT', ...json({ delaySeconds: 0 }) })
  const pop = { operation: 'pop', queue, leaseSeconds: 3_600 }
  const { items: popped } = (await post(`${url}/api/queue`, pop)) as { items: { receipt: string }[] }
  return { documentId, storedUrl, queue, receipt: popped[0]?.receipt ?? '' }
}

function json(body: unknown): { body: string; headers: Record<string, string> } {
  return { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }
}

async function post(url: string, body: unknown): Promise<unknown> {
  const response = await fetch(url, { method: 'POST', ...json(body) })
  if (!response.ok) throw new Error(await response.text())
  return response.json()
}

async function answerTo(service: ServiceProcess, template: Template): Promise<number | undefined> {
  const port = Number(new URL(service.url).port)
  return (await exchange(port, toBytes(toRequest(template)), { isHead: false }))?.status
}

/** `findings` say what was wrong with an answer, and to which request. */
type Tally = { findings: string[]; statuses: Record<number, number> }
type Source = { templates: Template[]; random: Random; tally: Tally }

async function sendMany(service: ServiceProcess, count: number, { templates, random, tally }: Source): Promise<void> {
  const port = Number(new URL(service.url).port)
  const requests = Array.from({ length: count }, () =>
    random.chance(GARBAGE_SHARE) ? garbage(random) : mutate(random.pick(templates), random),
  ).values()
  const work = async () => {
    for (const request of requests) await sendOne(port, request, tally)
  }
  await Promise.all(Array.from({ length: AT_A_TIME }, work))
}

async function sendOne(port: number, request: RawRequest | Buffer, { findings, statuses }: Tally): Promise<void> {
  const isGarbage = Buffer.isBuffer(request)
  const bytes = isGarbage ? request : toBytes(request)
  const method = isGarbage ? 'GARBAGE' : request.method
  const answer = isGarbage ? await shout(port, bytes) : await exchange(port, bytes, { isHead: method === 'HEAD' })
  if (answer) statuses[answer.status] = (statuses[answer.status] ?? 0) + 1
  // To bytes that are no request, silence is an answer.
  const finding = isGarbage && !answer ? undefined : judge(answer, method)
  if (finding) findings.push(`${finding} ${JSON.stringify(bytes.toString('latin1', 0, SHOWN_BYTES))}`)
}

/** What the service holds after everything that can be collected is. */
async function heldBytes(service: ServiceProcess): Promise<number> {
  const sample = async () => {
    process.kill(service.pid ?? 0, 'SIGUSR2')
    const text = await (await fetch(service.metricsUrl)).text()
    return metric(text, 'nodejs_heap_size_used_bytes') + metric(text, 'nodejs_external_memory_bytes')
  }
  let least = await sample()
  // Connections that are just being closed still hold something: as soon as less comes no more, that is all.
  await eventually(async () => {
    const next = await sample()
    const isSettled = next > least * 0.98
    least = Math.min(least, next)
    return isSettled
  })
  return least
}

function metric(text: string, name: string): number {
  const found = new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'm').exec(text)?.[1]
  if (found === undefined) throw new Error(`There is no metric ${name}.`)
  return Number(found)
}
