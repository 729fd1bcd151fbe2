/**
 * Attacks by callers of every level on a service with a heap of 256 MB. The longest turn of its event loop is judged by the CPU
 * time that it took, which a busy machine does not make longer; the wait of those who ask `/livez` beside each attack is
 * reported, and judged with room for what else runs here.
 */
import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { beforeAll, describe, expect, test } from 'vitest'
import { isLong, seed } from '../../fault/form.ts'
import { Random } from '../../fault/random.ts'
import { eventually } from '../../support/eventually.ts'
import type { Attack, Shot } from './attack.ts'
import { fireAll } from './connection.ts'
import type { Reading } from './meter.ts'
import type { Polls } from './poller.ts'
import { type OpenApi, type Route, routesOf } from './routes.ts'
import { KNOWN, Victim } from './victim.ts'

/** The promise is 100 ms on a machine of its own; what is looked for takes 300 ms and more. */
const MAX_TURN_MS = 250
/** Beyond the longest wait while nobody attacks. */
const MAX_WAIT_MS = 3_000
const MAX_RSS_BYTES = 512 * 2 ** 20
const GROWTH_BYTES = 48 * 2 ** 20
const MOST_SHOTS = isLong ? 400 : 40
const TIMEOUT_MS = 600_000
const QUIET_POLLS = 30

/** Every operation there is. */
export const routes: Route[] = routesOf(JSON.parse(readFileSync('docs/openapi.json', 'utf8')) as OpenApi, KNOWN)
const random = new Random(seed)

let victim: Victim
let cursors: string[]
let quiet: { reading: Reading; polls: Polls }

/** Makes a test of each attack, all on one service. */
export function testAttacks(attacks: readonly Attack[]): void {
  beforeAll(setUp, TIMEOUT_MS)
  describe(`hostile callers (seed ${seed})`, () => {
    test.each(attacks)('$as: $name', { timeout: TIMEOUT_MS }, judge)
  })
}

async function setUp(): Promise<void> {
  victim = await Victim.start()
  await victim.prepare()
  cursors = await someCursors()
  for (let round = 0; round < 20; round += 1) await expectServed()
  await victim.reading()
  await victim.polls()
  quiet = { polls: await manyPolls(), reading: await victim.reading() }
  report(`nobody attacks (seed ${seed})`, quiet.reading, quiet.polls)
}

async function judge(attack: Attack): Promise<void> {
  if (!isAlive()) await victim.revive()
  const startTime = await victim.metrics(/^process_start_time_seconds/)
  await victim.reading()
  await victim.polls()

  const shots = some(attack.shots(cursors))
  const served = new AbortController()
  const ordinary = attack.sparesOthers === false ? [] : serveMeanwhile(served.signal)
  const complaints = await fireAll(victim.port, shots, attack.atOnce ?? 4)
  served.abort()

  const polls = await victim.polls()
  const reading = await victim.reading()
  report(`${attack.as}: ${attack.name}`, reading, polls)
  expect(complaints.slice(0, 5)).toEqual([])
  expect(await ordinary).toEqual([])
  expect(polls.failures).toEqual([])
  expect(reading.longestTurnMs, 'CPU time of the longest turn').toBeLessThan(MAX_TURN_MS)
  expect(polls.longestMs, 'longest wait for /livez').toBeLessThan(quiet.polls.longestMs + MAX_WAIT_MS)
  expect(reading.highestRssBytes).toBeLessThan(MAX_RSS_BYTES)
  if (attack.maxCpuMs !== undefined) expect(reading.cpuMs).toBeLessThan(attack.maxCpuMs)
  await expectRecovered()
  expect(await victim.metrics(/^process_start_time_seconds/), 'the same process').toEqual(startTime)
}

/** What those see who ask `/livez` while nobody attacks. */
async function manyPolls(): Promise<Polls> {
  const all: Polls[] = []
  const count = () => all.reduce((sum, polls) => sum + polls.count, 0)
  await eventually(async () => all.push(await victim.polls()) > 0 && count() >= QUIET_POLLS)
  return { count: count(), longestMs: Math.max(...all.map(({ longestMs }) => longestMs)), failures: [] }
}

/** Cursors of the pages of everything that has pages. */
async function someCursors(): Promise<string[]> {
  const paged = routes.filter(({ query }) => query.includes('cursor'))
  const pages = await Promise.all(paged.map(({ target }) => victim.call('Read', 'GET', `${target}?limit=1`)))
  return pages.map(({ body }) => (JSON.parse(body) as { nextCursor: string }).nextCursor)
}

function isAlive(): boolean {
  try {
    return process.kill(victim.service.pid ?? 0, 0)
  } catch {
    return false
  }
}

/** So many of the shots as the form of the run has time for: in the short form the seed picks. */
function some(shots: Shot[]): Shot[] {
  if (shots.length <= MOST_SHOTS || shots.every(({ manner }) => manner.kind === 'leave')) return shots
  return shots
    .map((shot) => ({ shot, at: random.next() }))
    .sort((one, other) => one.at - other.at)
    .slice(0, MOST_SHOTS)
    .map(({ shot }) => shot)
}

/** An ordinary caller, who is to be served while others attack; answers what went wrong. */
async function serveMeanwhile(signal: AbortSignal): Promise<string[]> {
  const failures: string[] = []
  while (!signal.aborted) {
    await expectServed().catch((error) => failures.push(String(error)))
    await delay(100)
  }
  return failures.slice(0, 3)
}

async function expectServed(): Promise<void> {
  const push = { operation: 'push', queue: 'ordinary', items: [{ payload: { url: 'https://ordinary.example/' } }] }
  const answers = [
    await victim.call('Write', 'POST', '/api/queue', push),
    await victim.call('Write', 'POST', '/api/queue', { operation: 'pop', queue: 'ordinary' }),
    await victim.call('Read', 'GET', '/api/documents?limit=1&fields=id'),
  ]
  const wrong = answers.find(({ status }) => status !== 200)
  if (wrong) throw new Error(`An ordinary caller is answered ${wrong.status}: ${wrong.body.slice(0, 200)}`)
}

/** Nothing is left of an attack: everybody is served, and nothing is held. */
async function expectRecovered(): Promise<void> {
  await eventually(expectServed, { timeoutMs: 10_000 })
  expect((await fetch(`${victim.service.url}/readyz`)).status).toBe(200)
  await eventually(
    async () => {
      const held = await victim.metrics(/^(database_connections_(active|waiting)|\w*(held|in_flight)\w*)[ {]/)
      expect(
        Object.values(held).reduce((sum, value) => sum + value, 0),
        JSON.stringify(held),
      ).toBe(0)
      const { heldBytes } = await victim.reading()
      expect(heldBytes - quiet.reading.heldBytes, 'held after the attack').toBeLessThan(GROWTH_BYTES)
    },
    { timeoutMs: 20_000, intervalMs: 250 },
  )
}

function report(name: string, reading: Reading, polls: Polls): void {
  const mebibytes = Math.round(reading.highestRssBytes / 2 ** 20)
  const [turn, wait, cpu] = [reading.longestTurnMs, polls.longestMs, reading.cpuMs].map((ms) => Math.round(ms))
  console.log(
    `${name}: longest turn ${turn} ms of CPU, longest wait ${wait} ms, ${cpu} ms of CPU in all, ${mebibytes} MiB`,
  )
}
