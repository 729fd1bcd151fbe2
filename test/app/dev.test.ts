import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { lstat, realpath } from 'node:fs/promises'
import { request } from 'node:http'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { clusterName } from '../../app/embedded/orphans.ts'
import { childrenOf, serverIn, signal } from '../../app/embedded/processes.ts'
import { createTestDatabase } from '../support/database.ts'
import { atEndOfFile } from '../support/end-of-file.ts'
import { eventually } from '../support/eventually.ts'
import { temporaryFolder } from '../support/temporary.ts'

const PROGRAM = join(import.meta.dirname, '../../app/dev.ts')
const START_TIMEOUT_MS = 60_000

/** `npm start` in a folder: what it wrote, and how it ended. */
type Run = {
  child: ChildProcess
  output: () => string
  ended: Promise<{ code: number | null }>
  url: () => Promise<string>
}

function start(folder: string, env: Record<string, string> = {}, args: string[] = []): Run {
  const child = spawn(process.execPath, [PROGRAM, ...args], {
    cwd: folder,
    env: { PATH: process.env.PATH, PORT: '0', METRICS_PORT: '0', LOG_LEVEL: 'error', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  child.stdout.on('data', (chunk) => (output += chunk))
  child.stderr.on('data', (chunk) => (output += chunk))
  const ended = once(child, 'close').then(([code]) => ({ code }))
  atEndOfFile(async () => {
    child.kill('SIGTERM')
    await ended
  })
  const url = () =>
    eventually(
      () => {
        if (child.exitCode !== null) throw new Error(`ended: ${output}`)
        return /runs on (http:\S+),/.exec(output)?.[1] ?? false
      },
      { timeoutMs: START_TIMEOUT_MS },
    ).then(String)
  return { child, output: () => output, ended, url }
}

async function queue(url: string, body: Record<string, unknown>): Promise<{ items: { id: string }[] }> {
  const response = await fetch(`${url}/api/queue`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', connection: 'close' },
    body: JSON.stringify({ queue: 'frontier', ...body }),
  })
  expect(response.status).toBe(200)
  return response.json() as Promise<{ items: { id: string }[] }>
}

async function dataIn(folder: string): Promise<string> {
  return join(await realpath(join(folder, '.data/postgres')), 'data')
}

async function expectNoPostgres(folder: string): Promise<void> {
  const data = await dataIn(folder)
  await eventually(() => serverIn(data) === undefined && childrenOf(clusterName(data)).length === 0)
}

test('says how to try it, stops all on Ctrl-C, and keeps the data for the next start', {
  timeout: 120_000,
}, async () => {
  const folder = await temporaryFolder()
  const first = start(folder)
  const url = await first.url()
  expect(first.output()).toContain(`curl -s ${url}/health`)
  expect(first.output()).toContain('/docs')
  expect(first.output()).toMatch(/curl -s http:\S+\/metrics/)
  await queue(url, { operation: 'push', items: [{ id: 'kept' }] })
  // A terminal and npm each send one.
  first.child.kill('SIGINT')
  first.child.kill('SIGINT')
  expect(await first.ended).toEqual({ code: 0 })
  await expectNoPostgres(folder)

  const second = start(folder)
  const { items } = await queue(await second.url(), { operation: 'pop', count: 10 })
  expect(items.map(({ id }) => id)).toEqual(['kept'])
  second.child.kill('SIGTERM')
  expect(await second.ended).toEqual({ code: 0 })
  await expectNoPostgres(folder)
})

test('recovers from its own death, and from that of PostgreSQL', { timeout: 120_000 }, async () => {
  const folder = await temporaryFolder()
  const first = start(folder)
  await queue(await first.url(), { operation: 'push', items: [{ id: 'acknowledged' }] })
  first.child.kill('SIGKILL')
  await first.ended
  const orphan = serverIn(await dataIn(folder))?.pid
  expect(orphan).toBeGreaterThan(0)

  const second = start(folder)
  const url = await second.url()
  const server = serverIn(await dataIn(folder))?.pid ?? 0
  expect(server).not.toBe(orphan)
  signal(server, 'SIGKILL')
  // Until its processes have gone, a connection may still be answered.
  await eventually(() => expect(second.output()).toContain('PostgreSQL ended by itself (signal SIGKILL)'))
  const { items } = await eventually(() => queue(url, { operation: 'pop' }), { timeoutMs: 30_000 })
  expect(items.map(({ id }) => id)).toEqual(['acknowledged'])
  second.child.kill('SIGINT')
  expect(await second.ended).toEqual({ code: 0 })
  await expectNoPostgres(folder)
})

test('a second Ctrl-C ends it at once, PostgreSQL too', { timeout: 120_000 }, async () => {
  const folder = await temporaryFolder()
  const run = start(folder)
  const url = await run.url()
  // A request whose body never ends: the service would wait for it.
  const endless = request(`${url}/api/documents`, { method: 'POST', headers: { 'content-type': 'application/json' } })
  endless.on('error', () => undefined)
  endless.write('{"documents": [')
  await once(endless, 'socket').then(([socket]) => socket.connecting && once(socket, 'connect'))
  run.child.kill('SIGINT')
  await eventually(() => run.output().includes('Stopping'))
  // Later than what counts as the same signal.
  await delay(600)
  expect(run.child.exitCode).toBeNull()
  run.child.kill('SIGINT')
  expect(await run.ended).toEqual({ code: 1 })
  await expectNoPostgres(folder)
  endless.destroy()
})

test('a signal during the first start breaks it off', { timeout: 60_000 }, async () => {
  const folder = await temporaryFolder()
  const run = start(folder)
  await eventually(() => run.output().includes('Starting PostgreSQL'))
  run.child.kill('SIGTERM')
  expect(await run.ended).toEqual({ code: 0 })
  const isMade = await lstat(join(folder, '.data/postgres')).catch(() => undefined)
  if (isMade) await expectNoPostgres(folder)
})

test('a port in use is told in one sentence', { timeout: 60_000 }, async () => {
  const other = createServer().listen(0, '127.0.0.1')
  await once(other, 'listening')
  atEndOfFile(() => other.close())
  const { port } = other.address() as { port: number }
  const folder = await temporaryFolder()
  const run = start(folder, { PORT: String(port) })
  expect(await run.ended).toEqual({ code: 2 })
  expect(run.output()).toContain(`Port ${port} is in use by another program`)
  expect(run.output()).not.toContain('    at ')
  await expectNoPostgres(folder)
})

test('a wrong variable ends it before anything is made', { timeout: 60_000 }, async () => {
  const folder = await temporaryFolder()
  const run = start(folder, { MAX_POOL_SIZE: 'many' })
  expect(await run.ended).toEqual({ code: 2 })
  expect(run.output()).toMatch(/^MAX_POOL_SIZE: 'many' is not allowed/)
  await expect(lstat(join(folder, '.data'))).rejects.toMatchObject({ code: 'ENOENT' })
})

test('a second one in the same folder is refused, and harms nothing', { timeout: 120_000 }, async () => {
  const folder = await temporaryFolder()
  const first = start(folder)
  const url = await first.url()
  const second = start(folder)
  expect(await second.ended).toEqual({ code: 2 })
  expect(second.output()).toContain(`already in use by process ${first.child.pid}`)
  await queue(url, { operation: 'push', items: [{ id: 'unharmed' }] })
  first.child.kill('SIGINT')
  expect(await first.ended).toEqual({ code: 0 })
})

test('--help lists the variables', { timeout: 60_000 }, async () => {
  const run = start(await temporaryFolder(), {}, ['--help'])
  expect(await run.ended).toEqual({ code: 0 })
  for (const name of ['npm start', 'DATABASE_URL', 'MAX_POOL_SIZE', 'RUST_LOG']) expect(run.output()).toContain(name)
})

test('with DATABASE_URL it uses that server and starts none', { timeout: 60_000 }, async () => {
  const folder = await temporaryFolder()
  const database = await createTestDatabase()
  const run = start(folder, { DATABASE_URL: database.url })
  await queue(await run.url(), { operation: 'push', items: [{ id: 'elsewhere' }] })
  expect(await database.query('SELECT external_id FROM public.queue_items')).toEqual([{ external_id: 'elsewhere' }])
  await expect(lstat(join(folder, '.data'))).rejects.toMatchObject({ code: 'ENOENT' })
  run.child.kill('SIGINT')
  expect(await run.ended).toEqual({ code: 0 })
})
