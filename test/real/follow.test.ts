import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import pg from 'pg'
import { expect, test } from 'vitest'
import { isLong, seed } from '../fault/form.ts'
import { Random } from '../fault/random.ts'
import { type ServiceProcess, startService } from '../fault/service-process.ts'
import { startOwnServer } from '../support/database.ts'
import { atEndOfFile } from '../support/end-of-file.ts'
import { eventually } from '../support/eventually.ts'
import { temporaryFolder } from '../support/temporary.ts'

const KILLS = isLong ? 60 : 8
const URLS = 300
const WRITERS = 3

test(`a copy that follows the changes is equal in the end, killed ${KILLS} times (seed ${seed})`, async () => {
  const own = await startOwnServer()
  const service = await startService({ databaseUrl: own.url })
  const file = join(await temporaryFolder(), 'copy.sqlite')
  const random = new Random(seed)
  const writing = new AbortController()
  const writers = Array.from({ length: WRITERS }, () => write(service, own.url, random, writing.signal))

  try {
    for (let kill = 0; kill < KILLS; kill += 1) {
      const reader = start(service, file)
      await moved(file, random.between(1, 5))
      if (random.chance(0.2)) await restart(service)
      await reader.kill()
    }
  } finally {
    writing.abort()
    await Promise.all(writers)
  }
  const last = start(service, file, '--once')
  expect(await last.exitCode(), last.output()).toBe(0)
  expect(copied(file)).toEqual(await stored(own.url))
}, 600_000)

async function restart(service: ServiceProcess): Promise<void> {
  await service.kill()
  service.launch()
  await service.ready()
}

function start(service: ServiceProcess, file: string, ...more: string[]) {
  const child = spawn(process.execPath, ['docs/samples/follow.ts', file, '--service', service.url, ...more])
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += text))
  const ended = once(child, 'close')
  const kill = async () => {
    child.kill('SIGKILL')
    await ended
  }
  atEndOfFile(kill)
  return { kill, output: () => output, exitCode: async () => (await ended)[0] as number | null }
}

/** The service and people with SQL write the same urls, in transactions of any length. */
async function write(service: ServiceProcess, url: string, random: Random, signal: AbortSignal): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  while (!signal.aborted) {
    if (random.chance(0.5)) await post(service, random)
    else await transaction(client, random)
  }
  await client.end()
}

async function post(service: ServiceProcess, random: Random): Promise<void> {
  const documents = Array.from({ length: random.between(1, 20) }, () => ({
    url: someUrl(random),
    status: String(random.between(0, 1_000_000)),
  }))
  const body = JSON.stringify({ documents })
  const headers = { 'content-type': 'application/json' }
  // It may be killed at this moment.
  await fetch(`${service.url}/api/documents`, { method: 'POST', headers, body })
    .then((answer) => answer.arrayBuffer())
    .catch(() => undefined)
}

async function transaction(client: pg.Client, random: Random): Promise<void> {
  const deeds = [
    `UPDATE public.documents SET status = 'sql', updated_at = now() WHERE url = $1`,
    'DELETE FROM public.documents WHERE url = $1',
    'UPDATE public.documents SET crawled_at = now() WHERE url = $1',
  ]
  await client.query('BEGIN')
  try {
    for (let n = random.between(1, 6); n > 0; n -= 1) {
      await client.query(random.pick(deeds), [someUrl(random)])
      await client.query('SELECT pg_sleep($1)', [random.next() / 20])
    }
    await client.query(random.chance(0.8) ? 'COMMIT' : 'ROLLBACK')
  } catch {
    // Two of them that wait for each other: one is rolled back.
    await client.query('ROLLBACK')
  }
}

function someUrl(random: Random): string {
  return `https://follow.example/${random.between(0, URLS - 1)}`
}

/** Waits until the copy has taken so many more steps. */
async function moved(file: string, steps: number): Promise<void> {
  let last = cursorOf(file)
  for (let step = 0; step < steps; step += 1) {
    const before = last
    await eventually(() => {
      last = cursorOf(file)
      return last !== undefined && last !== before
    })
  }
}

function cursorOf(file: string): string | undefined {
  try {
    return inFile(file, 'SELECT cursor FROM progress')[0]?.cursor as string | undefined
  } catch {
    // There is no file, or no table yet.
    return undefined
  }
}

function copied(file: string): string[] {
  return inFile(file, 'SELECT id, url, status FROM documents')
    .map(({ id, url, status }) => `${url} ${id} ${status}`)
    .sort()
}

function inFile(file: string, text: string): Record<string, unknown>[] {
  const db = new DatabaseSync(file, { readOnly: true, timeout: 10_000 })
  try {
    return db.prepare(text).all()
  } finally {
    db.close()
  }
}

async function stored(url: string): Promise<string[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  const { rows } = await client.query('SELECT id, url, status FROM public.documents')
  await client.end()
  return rows.map((row) => `${row.url} ${row.id} ${row.status}`).sort()
}
