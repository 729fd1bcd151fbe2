import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { type OwnServer, startOwnServer } from '../support/database.ts'
import { eventually } from '../support/eventually.ts'
import { checkHistory } from './check-history.ts'
import { drain, storedVersions } from './drain.ts'
import { isLong, seed } from './form.ts'
import { Recorder, runLoad } from './load.ts'
import { Random } from './random.ts'
import { type ServiceProcess, startService } from './service-process.ts'

const KILLS = isLong ? 100 : 6
const WORKERS = 6
/** Requests that are answered between two kills. */
const ANSWERS = { least: 1, most: 200 }
const ANSWERS_TIMEOUT_MS = 60_000

/** What is killed, and how often of the whole. */
const TARGETS = { service: 45, postgres: 45, both: 10 }

test(`nothing is lost or done twice in ${KILLS} kills of the service and of PostgreSQL (seed ${seed})`, async () => {
  const own = await startOwnServer()
  const service = await startService({ databaseUrl: own.url })
  const recorder = new Recorder(service.url)
  const stop = new AbortController()
  const load = runLoad(recorder, { seed, workers: WORKERS, signal: stop.signal })
  const random = new Random(seed)
  await Promise.race([load, killMany(random, { own, service, recorder })]).finally(() => stop.abort())
  await load
  await drain(recorder, service.url)

  const urls = recorder.events.flatMap((event) => (event.kind === 'document' ? event.url : []))
  const documents = await storedVersions(service.url, [...new Set(urls)])
  const history = { events: recorder.events, documents }
  expect(checkHistory(history).slice(0, 20)).toEqual([])
  expect(countsOf(recorder)).toMatchObject({ outage: KILLS })
  console.log(`seed ${seed}: ${JSON.stringify(countsOf(recorder))}`)
}, 1_800_000)

type Victims = { own: OwnServer; service: ServiceProcess; recorder: Recorder }

async function killMany(random: Random, victims: Victims): Promise<void> {
  const { recorder, service } = victims
  for (let kill = 0; kill < KILLS; kill += 1) {
    const target = recorder.answers + random.between(ANSWERS.least, ANSWERS.most)
    await eventually(() => recorder.answers >= target, { timeoutMs: ANSWERS_TIMEOUT_MS })
    await delay(random.between(0, 20))
    const startedAt = Date.now()
    await killOne(random, victims)
    await service.ready()
    recorder.events.push({ kind: 'outage', startedAt, endedAt: Date.now() })
  }
}

async function killOne(random: Random, { own, service }: Victims): Promise<void> {
  const target = random.weighted(TARGETS)
  await Promise.all([target !== 'postgres' && service.kill(), target !== 'service' && own.server.kill()])
  if (target !== 'postgres') service.launch()
  if (target !== 'service') await own.server.start()
}

function countsOf({ events }: Recorder): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const event of events) {
    counts[event.kind] = (counts[event.kind] ?? 0) + 1
    if ('outcome' in event) counts[event.outcome] = (counts[event.outcome] ?? 0) + 1
  }
  return counts
}
