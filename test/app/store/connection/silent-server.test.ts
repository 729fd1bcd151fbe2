import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { Database } from '../../../../app/store/database.ts'
import { silentObserver } from '../../../../app/store/observer.ts'
import { createTestDatabase } from '../../../support/database.ts'
import { atEndOfFile } from '../../../support/end-of-file.ts'
import { eventually } from '../../../support/eventually.ts'
import { DatabaseProxy } from '../../../support/proxy.ts'

const ONE = { text: 'SELECT 1 AS one' }
const UNAVAILABLE = { code: 'database_unavailable' }

const target = await createTestDatabase()

function open(url: string, options: { statementTimeoutMs?: number; maxPoolSize?: number } = {}): Database {
  const database = new Database(
    { url, maxPoolSize: 4, acquireTimeoutMs: 5_000, statementTimeoutMs: 30_000, ...options },
    silentObserver,
  )
  atEndOfFile(() => database.close())
  return database
}

async function openProxy(): Promise<DatabaseProxy> {
  const proxy = await DatabaseProxy.create(target.url)
  await proxy.open()
  return proxy
}

async function tookMs(work: Promise<unknown>): Promise<number> {
  const startedAt = performance.now()
  await work
  return performance.now() - startedAt
}

/** Statements of which PostgreSQL knows that they run, so that what happens next happens to them. */
async function running(database: Database, seconds: number, count: number): Promise<Promise<unknown>[]> {
  const mark = `/* ${Math.random()} */`
  const started = Array.from({ length: count }, () => database.query({ text: `SELECT pg_sleep(${seconds}) ${mark}` }))
  for (const one of started) one.catch(() => undefined)
  const find = `SELECT FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%' || $1`
  await eventually(async () => (await target.query(find, [mark])).length === count)
  return started
}

/** Opens connections one after the other, and gives them back so that the oldest is the first that is used again. */
async function openOneByOne(database: Database, count: number): Promise<void> {
  const held: { release: () => void; ended: Promise<void> }[] = []
  for (let n = 0; n < count; n += 1) {
    const released = Promise.withResolvers<void>()
    const begun = Promise.withResolvers<void>()
    const ended = database.transaction(async (session) => {
      await session.query(ONE)
      begun.resolve()
      await released.promise
    })
    await begun.promise
    held.push({ release: released.resolve, ended })
  }
  for (const { release, ended } of held.toReversed()) {
    release()
    await ended
  }
}

/** PostgreSQL itself does not notice that nobody waits for these any more. */
async function endSleeping(seconds: number): Promise<void> {
  const text = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE $1 AND pid <> pg_backend_pid()`
  await target.query(text, [`SELECT pg_sleep(${seconds})%`])
}

describe('a statement that takes too long', () => {
  test('is cancelled, and its connection replaced', async () => {
    const database = open(target.url, { statementTimeoutMs: 300, maxPoolSize: 1 })
    await expect(database.query({ text: 'SELECT pg_sleep(60)' })).rejects.toMatchObject({ code: 'query_timeout' })
    expect((await database.query(ONE)).rows).toEqual([{ one: 1 }])
    const running = `SELECT FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)' AND state = 'active'`
    await eventually(async () => (await target.query(running)).length === 0)
  })

  test('is cancelled by the service where PostgreSQL does not do it itself', async () => {
    const database = open(target.url, { statementTimeoutMs: 300, maxPoolSize: 1 })
    const work = database.transaction(async (session) => {
      await session.query({ text: 'SET LOCAL statement_timeout = 0' })
      await session.query({ text: 'SELECT pg_sleep(61)' })
    })
    await expect(work).rejects.toMatchObject({ code: 'query_timeout' })
    const running = `SELECT FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(61)' AND state = 'active'`
    await eventually(async () => (await target.query(running)).length === 0)
  })

  test('is let alone while it has time, although nothing else is heard of the server', async () => {
    const database = open(target.url, { maxPoolSize: 1 })
    expect((await database.query({ text: 'SELECT pg_sleep(13)' })).rowCount).toBe(1)
  })
})

describe('a server that falls silent', () => {
  test('costs no statement more than its time limit and 5 s; it is not asked to roll back', async () => {
    const proxy = await openProxy()
    const database = open(proxy.url, { statementTimeoutMs: 1_000 })
    let began = () => {}
    const inTransaction = new Promise<void>((resolve) => {
      began = resolve
    })
    let proceed = () => {}
    const silenced = new Promise<void>((resolve) => {
      proceed = resolve
    })
    const transaction = database.transaction(async (session) => {
      await session.query(ONE)
      began()
      await silenced
      await session.query(ONE)
    })
    await inTransaction
    proxy.silence()
    proceed()
    const all = [transaction, ...Array.from({ length: 12 }, () => database.query(ONE))]
    const times = await Promise.all(all.map(async (work) => tookMs(expect(work).rejects.toSatisfy(isPassing))))
    expect(Math.max(...times)).toBeLessThan(6_000)
  })

  test('is given up long before the time limit of what runs on it, and requests are then refused quickly', async () => {
    const proxy = await openProxy()
    const database = open(proxy.url)
    const statements = await running(database, 60, 4)
    proxy.silence()
    const times = await Promise.all(
      statements.map(async (work) => tookMs(expect(work).rejects.toMatchObject(UNAVAILABLE))),
    )
    expect(Math.max(...times)).toBeLessThan(20_000)
    expect(await tookMs(expect(database.query(ONE)).rejects.toMatchObject(UNAVAILABLE))).toBeLessThan(3_000)
    await endSleeping(60)
  })

  test('is found out once, and not on each connection that was opened at another time', async () => {
    const proxy = await openProxy()
    const database = open(proxy.url, { maxPoolSize: 6, statementTimeoutMs: 1_000 })
    await openOneByOne(database, 6)
    // Connections that have just been used are not looked at.
    await target.query('SELECT pg_sleep(1.2)')
    proxy.silence()
    expect(await tookMs(expect(database.query(ONE)).rejects.toMatchObject(UNAVAILABLE))).toBeLessThan(6_000)
  })

  test('ends maintenance, too, which has an hour', async () => {
    const proxy = await openProxy()
    const database = open(proxy.url)
    const signal = new AbortController().signal
    const work = database.maintain('SELECT pg_sleep(600)', undefined, signal)
    work.catch(() => undefined)
    await eventually(
      async () =>
        (await target.query(`SELECT FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)' AND state = 'active'`))
          .length === 1,
    )
    proxy.silence()
    expect(await tookMs(expect(work).rejects.toMatchObject(UNAVAILABLE))).toBeLessThan(20_000)
    await endSleeping(600)
  })
})

function isPassing(error: { code?: string }): boolean {
  return error.code === 'database_unavailable' || error.code === 'query_timeout'
}

describe('maintenance', () => {
  test('leaves no setting behind, and is not cut off by the limit of requests', async () => {
    const database = open(target.url, { statementTimeoutMs: 300, maxPoolSize: 1 })
    const signal = new AbortController().signal
    const result = await database.maintain(
      `SELECT pg_sleep(1); SELECT current_setting('statement_timeout') AS limit`,
      undefined,
      signal,
    )
    expect(result).toMatchObject([{}, { rows: [{ limit: '1h' }] }])
    const { rows } = await database.query({ text: `SELECT current_setting('statement_timeout') AS limit` })
    expect(rows).toEqual([{ limit: '300ms' }])
  })
})

describe('a peer that vanishes', () => {
  test('is looked for by the kernel after ten seconds', async () => {
    const database = open(target.url, { maxPoolSize: 1 })
    const port = await database.query<{ port: number }>({ text: 'SELECT inet_client_port() AS port' })
    expect(keepAliveMs(port.rows[0]?.port ?? 0)).toBeLessThanOrEqual(10_000)
  })
})

/** Until the first keep-alive probe of the connection with this local port, from the kernel's table. */
function keepAliveMs(port: number): number {
  const hex = port.toString(16).toUpperCase().padStart(4, '0')
  const line = readFileSync('/proc/net/tcp', 'utf8')
    .split('\n')
    .find((text) => text.trim().split(/\s+/)[1]?.endsWith(`:${hex}`))
  const [timer = '', when = ''] = line?.trim().split(/\s+/)[5]?.split(':') ?? []
  if (timer !== '02') throw new Error(`The connection has the timer ${timer} and no keep-alive.`)
  return Number.parseInt(when, 16) * 10
}
