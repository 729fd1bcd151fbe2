import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { migrate } from '../../migrations/run/run.ts'
import { withClient } from '../migrations/fixture.ts'
import { type OwnServer, startOwnServer } from '../support/database.ts'
import { eventually } from '../support/eventually.ts'
import { isLong, seed } from './form.ts'
import { DOCUMENTS, FILL, migrationSet, VERSIONS } from './migration-set.ts'
import { Random } from './random.ts'

/** The kills come in parts, so that a long run shows how far it is: `-t 'part 3'` runs that one alone. */
const PARTS = isLong ? 8 : 1
const KILLS_OF_PART = isLong ? 25 : 3
/** How often one kill is tried until it hits: most of them do, at a random moment of the run. */
const MOST_ATTEMPTS = 10
const PROGRAM = join(import.meta.dirname, 'migrate-program.ts')

/** What is killed, and how often of the whole: the runner, one of its server processes, or the server. */
const TARGETS = { client: 40, backend: 40, server: 20 }

type Place = { own: OwnServer; folder: string; random: Random }

const own = await startOwnServer()
await withClient(own.url, (client) => client.query(FILL))
const folder = await migrationSet()

describe(`a migration run converges (seed ${seed})`, () => {
  const parts = Array.from({ length: PARTS }, (_, index) => index + 1)

  test.each(parts)(`after ${KILLS_OF_PART} kills, part %i of ${PARTS}`, { timeout: 1_800_000 }, async (part) => {
    const place = { own, folder, random: new Random(seed + part) }
    const counts = { client: 0, backend: 0, server: 0, missed: 0 }
    let wholeMs = await measure(place, `whole_${part}`)
    for (let number = 1; number <= KILLS_OF_PART; number += 1) {
      const target = place.random.weighted(TARGETS)
      const { misses, shortestMs } = await killUntilHit(place, { target, name: `kill_${part}_${number}`, wholeMs })
      counts[target] += 1
      counts.missed += misses
      wholeMs = shortestMs
    }
    console.log(`seed ${seed}, part ${part}: a whole run takes ${Math.round(wholeMs)} ms: ${JSON.stringify(counts)}`)
    expect(counts.client + counts.backend + counts.server).toBe(KILLS_OF_PART)
  })
})

/** A kill that misses is none: the same is tried again, so that a kind which never hits is found out. */
async function killUntilHit(
  place: Place,
  { target, name, wholeMs }: Kill,
): Promise<{ misses: number; shortestMs: number }> {
  let shortestMs = wholeMs
  for (let misses = 0; misses < MOST_ATTEMPTS; misses += 1) {
    const { isHit, tookMs } = await killOnce(place, { target, name: `${name}_${misses}`, wholeMs: shortestMs })
    if (isHit) return { misses, shortestMs }
    // It was faster than the one that was measured.
    shortestMs = Math.min(shortestMs, tookMs)
  }
  throw new Error(`${MOST_ATTEMPTS} kills of the ${target} hit nothing.`)
}

type Outcome = { isHit: boolean; tookMs: number }

/** How long the part after the first line of the log takes when nothing is killed. */
async function measure(place: Place, name: string): Promise<number> {
  const databaseUrl = await clone(place.own, name)
  const child = launch(databaseUrl, place.folder)
  await once(child.stdout as NodeJS.ReadableStream, 'data')
  const startedAt = performance.now()
  await ended(child)
  const wholeMs = performance.now() - startedAt
  await expectConverged(databaseUrl)
  return wholeMs
}

type Target = keyof typeof TARGETS
type Kill = { target: Target; name: string; wholeMs: number }

/** Kills one run somewhere; answers whether that broke it off, and how long it took. */
async function killOnce({ own, folder, random }: Place, { target, name, wholeMs }: Kill): Promise<Outcome> {
  const databaseUrl = await clone(own, name)
  const child = launch(databaseUrl, folder)
  await once(child.stdout as NodeJS.ReadableStream, 'data')
  const startedAt = performance.now()
  const endedAfter = ended(child).then(() => performance.now() - startedAt)
  await Promise.race([endedAfter, delay(random.next() * wholeMs, undefined)])
  await kill(target, { own, child, name, random })
  const tookMs = await endedAfter
  await expectNothingHalf(databaseUrl)
  // The next run, and not one of those after it.
  await migrate({ databaseUrl, folder })
  await expectConverged(databaseUrl)
  await withClient(own.url, (client) => client.query(`DROP DATABASE ${name} WITH (FORCE)`))
  // A run that came to its end was not hit, whatever was killed.
  return { isHit: child.exitCode !== 0, tookMs }
}

type Victims = { own: OwnServer; child: ChildProcess; name: string; random: Random }

async function kill(target: Target, { own, child, name, random }: Victims): Promise<void> {
  if (target === 'client') {
    child.kill('SIGKILL')
  } else if (target === 'backend') {
    const victim = random.pick(['sonoma-storage-migrate', 'sonoma-storage-migrate-lock'])
    const text = 'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND application_name = $2'
    await withClient(own.url, (client) => client.query(text, [name, victim]))
  } else {
    await own.server.kill()
    await own.server.start()
  }
}

async function clone(own: OwnServer, name: string): Promise<string> {
  await withClient(own.server.url('postgres'), (client) =>
    eventually(() => client.query(`CREATE DATABASE ${name} TEMPLATE sonoma`).then(() => true)),
  )
  return own.server.url(name)
}

function launch(databaseUrl: string, folder: string): ChildProcess {
  return spawn(process.execPath, [PROGRAM, databaseUrl, folder], { stdio: ['ignore', 'pipe', 'ignore'] })
}

async function ended(child: ChildProcess): Promise<void> {
  child.stdout?.resume()
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
}

/** A file that is one transaction is there as a whole or not at all. */
async function expectNothingHalf(databaseUrl: string): Promise<void> {
  const { rows } = await withClient(databaseUrl, (client) =>
    client.query(`SELECT to_regclass('storage.more') IS NOT NULL AS made,
      EXISTS (SELECT 1 FROM storage.schema_history WHERE version = '0100') AS noted`),
  )
  expect(rows[0].made).toBe(rows[0].noted)
}

async function expectConverged(databaseUrl: string): Promise<void> {
  const found = await withClient(databaseUrl, async (client) => {
    const list = async (text: string) => (await client.query<{ name: string }>(text)).rows.map((row) => row.name)
    return {
      applied: await list(
        `SELECT version AS name FROM storage.schema_history WHERE state = 'applied' ORDER BY version`,
      ),
      invalid: await list('SELECT indexrelid::regclass::text AS name FROM pg_index WHERE NOT indisvalid'),
      twins: await list(`SELECT relname AS name FROM pg_class WHERE relname ~ '_cc(new|old)'`),
      indexes:
        await list(`SELECT indexname AS name FROM pg_indexes WHERE indexname ~ '^(documents_(size|created|host_size)|job_kept|job_common_keep_until)_idx'
        ORDER BY indexname`),
      notOnce: await list('SELECT id::text AS name FROM public.documents WHERE filled <> 1'),
      documents: (await client.query('SELECT count(*)::integer AS count FROM public.documents')).rows[0].count,
    }
  })
  const indexes = ['documents_host_size_idx', 'documents_size_idx', 'job_common_keep_until_idx', 'job_kept_idx']
  expect(found).toEqual({ applied: VERSIONS, invalid: [], twins: [], indexes, notOnce: [], documents: DOCUMENTS })
}
