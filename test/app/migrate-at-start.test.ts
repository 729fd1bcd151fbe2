import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { describe, expect, inject, test } from 'vitest'
import { migrateAtStart } from '../../app/migrate-at-start.ts'
import { withClient } from '../migrations/fixture.ts'
import { createTestDatabase } from '../support/database.ts'
import { atEndOfFile } from '../support/end-of-file.ts'
import { eventually } from '../support/eventually.ts'
import { DatabaseProxy } from '../support/proxy.ts'
import { temporaryFolder } from '../support/temporary.ts'

const PROGRAM = join(import.meta.dirname, '../../app/dev.ts')
/** What a person takes for at once, on a machine that does other things as well. */
const AT_ONCE_MS = 5_000
/** Nobody listens there. */
const NOBODY = 'postgres://nobody@127.0.0.1:1/nothing'
const SAID = /The database cannot be reached: .*ECONNREFUSED.* Waiting for it; Ctrl-C ends this\.\n/

type Run = { child: ChildProcess; output: () => string; ended: Promise<number | null> }

async function start(databaseUrl: string): Promise<Run> {
  const child = spawn(process.execPath, [PROGRAM], {
    cwd: await temporaryFolder(),
    env: { PATH: process.env.PATH, PORT: '0', METRICS_PORT: '0', LOG_LEVEL: 'error', DATABASE_URL: databaseUrl },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk))
  const ended = once(child, 'close').then(([code]) => code as number | null)
  atEndOfFile(async () => {
    child.kill('SIGKILL')
    await ended
  })
  return { child, output: () => output, ended }
}

/** A port that accepts connections and never says a word. */
async function silentServer(): Promise<{ url: string; connected: Promise<unknown> }> {
  const server = createServer()
  const sockets = new Set<Socket>()
  server.on('connection', (socket) => sockets.add(socket))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  atEndOfFile(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return { url: `postgres://nobody@127.0.0.1:${port}/nothing`, connected: once(server, 'connection') }
}

async function expectEndAtOnce(run: Run): Promise<void> {
  const startedAt = performance.now()
  run.child.kill('SIGINT')
  expect(await run.ended).toBe(0)
  expect(performance.now() - startedAt).toBeLessThan(AT_ONCE_MS)
  expect(run.output()).not.toContain('    at ')
}

describe('npm start, while the server of DATABASE_URL is down', () => {
  test('says so, and goes on by itself when it is there', { timeout: 120_000 }, async () => {
    const database = await createTestDatabase()
    const proxy = await DatabaseProxy.create(database.url)
    const run = await start(proxy.url)
    await eventually(() => SAID.test(run.output()))
    expect(run.child.exitCode).toBeNull()
    await proxy.open()
    const address = await eventually(() => /runs on (http:\S+),/.exec(run.output())?.[1] ?? false)
    expect((await fetch(`${address}/livez`, { headers: { connection: 'close' } })).status).toBe(200)
    run.child.kill('SIGINT')
    expect(await run.ended).toBe(0)
  })

  test('says it again and again', async () => {
    const lines: string[] = []
    const stop = new AbortController()
    const options = { print: (line: string) => void lines.push(line), signal: stop.signal, saidAgainMs: 0 }
    const starting = migrateAtStart({ databaseUrl: NOBODY, ...options })
    const interrupted = expect(starting).rejects.toMatchObject({ code: 'interrupted' })
    await eventually(() => lines.length >= 2)
    stop.abort()
    await interrupted
    expect(lines.filter((line) => !SAID.test(`${line}\n`))).toEqual([])
  })

  test('ends at once on Ctrl-C', { timeout: 60_000 }, async () => {
    const run = await start(NOBODY)
    await eventually(() => SAID.test(run.output()))
    await expectEndAtOnce(run)
  })

  test('ends at once on Ctrl-C where the server accepts and is silent', { timeout: 60_000 }, async () => {
    const { url, connected } = await silentServer()
    const run = await start(url)
    await connected
    await expectEndAtOnce(run)
  })
})

test('npm start ends at once on Ctrl-C while another run migrates', { timeout: 60_000 }, async () => {
  const database = await createTestDatabase()
  await withClient(database.url, async (other) => {
    await other.query('SELECT pg_advisory_lock(7305124911734)')
    const run = await start(database.url)
    const waiting = `SELECT FROM pg_stat_activity WHERE datname = $1 AND application_name = 'sonoma-storage-migrate-lock'`
    await eventually(async () => (await database.query(waiting, [database.name])).length > 0)
    await expectEndAtOnce(run)
  })
})

test.each([
  [{ password: 'wrong' }, /^DATABASE_URL: password authentication failed for user "\w+"; correct the user name or/m],
  [{ pathname: '/missing' }, /^DATABASE_URL: database "missing" does not exist; create it/m],
])('npm start with %j ends with a sentence', { timeout: 60_000 }, async (change, sentence) => {
  const run = await start(Object.assign(new URL(inject('postgresUrl')), change).href)
  expect(await run.ended).toBe(2)
  expect(run.output()).toMatch(sentence)
  expect(run.output()).not.toContain('    at ')
})
