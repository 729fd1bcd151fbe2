/**
 * `npm run bench:migrations -- [rows]`: migrations on a large table of documents (10 million rows unless told otherwise)
 * while others write. Prints the time that expand migrations take, and in turns the writers' p99 without and with a backfill.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import { EmbeddedPostgres } from '../../app/embedded/embedded-postgres.ts'
import { migrate } from '../../migrations/run/run.ts'
import { largeTableMigrations } from './migration-files.ts'
import { median, percentile } from './statistics.ts'

const ROWS = Number(process.argv[2] ?? 10_000_000)
const CHUNK = 500_000
const WRITERS = 4
const PAUSE_MS = 5
const BASELINE_MS = 20_000
/** A backfill takes hours on a large table: it is watched for a while, broken off, and goes on in the next round. */
const ROUNDS = 5
const TURN_MS = 12_000

type Figures = { p50Ms: number; p99Ms: number; writes: number }

async function main(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'sonoma-bench-migrations-'))
  const settings = {
    ...{ shared_buffers: '512MB', max_wal_size: '4GB', maintenance_work_mem: '256MB' },
    // Checkpoints come between the turns, so that each begins with the same: the first change of a page logs all of it.
    ...{ autovacuum: 'off', checkpoint_timeout: '1h' },
  }
  const server = new EmbeddedPostgres({ folder: join(folder, 'postgres'), settings })
  try {
    await server.start()
    await server.createDatabase('bench')
    await run(server.url('bench'), folder)
  } finally {
    await server.destroy()
    await rm(folder, { recursive: true, force: true })
  }
}

async function run(databaseUrl: string, folder: string): Promise<void> {
  await migrate({ databaseUrl })
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  try {
    await fill(client)
    const baseline = await whileWriting(databaseUrl, () => delay(BASELINE_MS))
    print('writes before', baseline)
    const expand = await largeTableMigrations(folder, 'expand')
    print(
      'writes during expand',
      await whileWriting(databaseUrl, () => migrate({ databaseUrl, folder: expand, log: say })),
    )
    const { rows } = await client.query(
      `SELECT version, name, duration_ms::integer AS ms FROM storage.schema_history WHERE version > '0099' ORDER BY version`,
    )
    for (const row of rows) say(`${row.version}_${row.name}: ${row.ms} ms`)
    const ratios = await inTurns(client, databaseUrl, await largeTableMigrations(folder, 'backfill'))
    const range = `${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}`
    say(`p99 with the backfill: ${median(ratios).toFixed(2)} x (median of ${ratios.length} rounds, ${range})`)
    const done = await client.query(`SELECT rows_done AS rows FROM storage.schema_history WHERE version = '0105'`)
    say(`the backfill did ${done.rows[0]?.rows} rows in ${(ratios.length * TURN_MS) / 1_000} s`)
  } finally {
    await client.end()
  }
}

/** The writers' p99 with the backfill over that without it, round by round; a backfill that is done ends them. */
async function inTurns(client: pg.Client, databaseUrl: string, folder: string): Promise<number[]> {
  const ratios: number[] = []
  let isOver = false
  const turns = {
    without: () => delay(TURN_MS),
    with: async () => {
      isOver = await backfillFor(databaseUrl, folder, TURN_MS)
    },
  }
  while (!isOver && ratios.length < ROUNDS) {
    const p99Ms = { without: 0, with: 0 }
    const order: ('without' | 'with')[] = ratios.length % 2 === 0 ? ['without', 'with'] : ['with', 'without']
    for (const turn of order) {
      await client.query('CHECKPOINT')
      const figures = await whileWriting(databaseUrl, turns[turn])
      print(`writes ${turn} the backfill`, figures)
      p99Ms[turn] = figures.p99Ms
    }
    ratios.push(p99Ms.with / p99Ms.without)
  }
  return ratios
}

/** Answers whether it came to its end. */
async function backfillFor(databaseUrl: string, folder: string, ms: number): Promise<boolean> {
  const signal = AbortSignal.timeout(ms)
  try {
    await migrate({ databaseUrl, folder, log: say, signal })
    return true
  } catch (error) {
    if (!signal.aborted) throw error
    return false
  }
}

/** Documents with ids as the service gives them: in the order of time. */
async function fill(client: pg.Client): Promise<void> {
  for (let from = 1; from <= ROWS; from += CHUNK) {
    await client.query(
      `INSERT INTO public.documents (id, url, host, status, content_type, size, created_at, updated_at)
       SELECT (lpad(to_hex(1767225600000 + n), 12, '0') || '70008' || substr(md5(n::text), 1, 15))::uuid,
         'https://host-' || n % 5000 || '.example/' || n, 'host-' || n % 5000 || '.example', 'crawled', 'text/html', n,
         now() - n * interval '1 second', now() - n * interval '1 second'
       FROM generate_series($1::bigint, $2::bigint) AS n`,
      [from, Math.min(from + CHUNK - 1, ROWS)],
    )
    say(`${Math.min(from + CHUNK - 1, ROWS)} rows`)
  }
  await client.query('VACUUM ANALYZE public.documents')
}

/** The times of single-row writes while `work` runs. */
async function whileWriting(databaseUrl: string, work: () => Promise<unknown>): Promise<Figures> {
  let isOver = false
  const times: number[] = []
  const writers = Array.from({ length: WRITERS }, () => write(databaseUrl, times, () => isOver))
  await work().finally(() => {
    isOver = true
  })
  await Promise.all(writers)
  return { p50Ms: percentile(times, 0.5), p99Ms: percentile(times, 0.99), writes: times.length }
}

async function write(databaseUrl: string, times: number[], isOver: () => boolean): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  while (!isOver()) {
    const number = 1 + Math.floor(Math.random() * ROWS)
    const startedAt = performance.now()
    await client.query(`UPDATE public.documents SET status = 'again', updated_at = now() WHERE url = $1`, [
      `https://host-${number % 5000}.example/${number}`,
    ])
    times.push(performance.now() - startedAt)
    await delay(PAUSE_MS)
  }
  await client.end()
}

function print(what: string, { p50Ms, p99Ms, writes }: Figures): void {
  say(`${what}: p50 ${p50Ms.toFixed(1)} ms, p99 ${p99Ms.toFixed(1)} ms, ${writes} writes`)
}

function say(line: string): void {
  process.stdout.write(`${new Date().toISOString().slice(11, 19)} ${line}\n`)
}

await main()
