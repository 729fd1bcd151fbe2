import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { Agent, get as httpGet, type IncomingMessage } from 'node:http'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import pg from 'pg'
import { describe, expect, test } from 'vitest'
import { loadConfig } from '../../app/config/config.ts'
import { Drain } from '../../app/drain.ts'
import { listen } from '../../app/listen.ts'
import { Lifecycle } from '../../app/plugins/probes/lifecycle.ts'
import type { App } from '../../app/schemas/app.ts'
import { startService } from '../../app/server.ts'
import { buildTestApp, capturingLogger } from '../support/app.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { atEndOfFile } from '../support/end-of-file.ts'
import { eventually } from '../support/eventually.ts'

const MAIN = join(import.meta.dirname, '../../app/main.ts')
const NO_DATABASE = 'postgres://nobody@127.0.0.1:1/nothing'
const ENV = { HOST: '127.0.0.1', PORT: '0', METRICS_PORT: '0', AUTH: 'none', DATABASE_URL: NO_DATABASE }

/** The interface on a real port with a route that answers when it is told to, and one that waits. */
class Draining {
  readonly lifecycle = new Lifecycle()
  readonly opened = Promise.withResolvers<void>()
  entered = 0
  waited = 0
  url = ''
  #drain: Drain | undefined

  static async start(): Promise<Draining> {
    const draining = new Draining()
    const { lifecycle } = draining
    const app = await buildTestApp({ parts: { lifecycle }, routes: (bare) => draining.routes(bare) })
    draining.#drain = new Drain(app.server)
    draining.url = await listen(app.server, '127.0.0.1', 0)
    return draining
  }

  routes(app: App): void {
    const config = { access: 'Open' } as const
    app.get('/t/gate', { config }, async () => {
      this.entered += 1
      await this.opened.promise
      return { accepted: true }
    })
    app.get('/t/wait', { config }, async (_request, reply) => {
      this.waited += 1
      const signal = reply.waitSignal()
      if (!signal.aborted) await once(signal, 'abort')
      return { items: [] }
    })
    app.get('/t/quick', { config }, () => ({}))
  }

  /** As the service does it: not ready first, then no new connection. */
  stop(timeoutMs = 10_000): Promise<boolean> {
    this.lifecycle.beginStop()
    this.lifecycle.beginDrain()
    return (this.#drain as Drain).run(timeoutMs)
  }
}

async function call(url: string, agent?: Agent): Promise<{ status: number; headers: object; body: string }> {
  const [response] = (await once(httpGet(url, { agent }), 'response')) as [IncomingMessage]
  const chunks = await response.toArray()
  return { status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks).toString() }
}

describe('draining', () => {
  test('answers what was accepted, refuses new connections, and then ends', async () => {
    const draining = await Draining.start()
    const accepted = call(`${draining.url}/t/gate`)
    await eventually(() => expect(draining.entered).toBe(1))
    const drained = draining.stop()
    await eventually(() => expect(call(`${draining.url}/t/quick`)).rejects.toThrow('ECONNREFUSED'))
    draining.opened.resolve()
    expect(await accepted).toMatchObject({ status: 200, headers: { connection: 'close' }, body: '{"accepted":true}' })
    expect(await drained).toBe(true)
  })

  test('ends long polls at once, with what they have', async () => {
    const draining = await Draining.start()
    const polls = [1, 2, 3].map(() => call(`${draining.url}/t/wait`))
    await eventually(() => expect(draining.waited).toBe(3))
    const drained = draining.stop()
    for (const poll of polls) expect(await poll).toMatchObject({ status: 200, body: '{"items":[]}' })
    expect(await drained).toBe(true)
  })

  test('closes keep-alive connections and those that never sent anything', async () => {
    const draining = await Draining.start()
    const agent = new Agent({ keepAlive: true })
    const silent: Socket = connect(Number(new URL(draining.url).port), '127.0.0.1')
    await once(silent, 'connect')
    const kept = await call(`${draining.url}/t/quick`, agent)
    expect(kept.headers).toMatchObject({ connection: 'keep-alive' })
    const closed = once(silent.resume(), 'close')
    expect(await draining.stop()).toBe(true)
    await closed
    agent.destroy()
  })

  test('while stopping, answers close their connection', async () => {
    const draining = await Draining.start()
    draining.lifecycle.beginStop()
    const agent = new Agent({ keepAlive: true })
    expect((await call(`${draining.url}/t/quick`, agent)).headers).toMatchObject({ connection: 'close' })
    expect((await call(`${draining.url}/nothing`, agent)).headers).toMatchObject({ connection: 'close' })
    agent.destroy()
    await draining.stop()
  })

  test('cuts what takes too long', async () => {
    const draining = await Draining.start()
    const stuck = call(`${draining.url}/t/gate`)
    await eventually(() => expect(draining.entered).toBe(1))
    const failure = expect(stuck).rejects.toThrow()
    expect(await draining.stop(100)).toBe(false)
    await failure
    draining.opened.resolve()
  })
})

describe('the service', () => {
  test('is not ready from the beginning of its delay, and serves on until its end', async () => {
    const database = await createTestDatabase()
    const config = loadConfig({ ...ENV, DATABASE_URL: database.url, SHUTDOWN_DELAY: '2s', SHUTDOWN_TIMEOUT: '10s' })
    const { log, lines } = capturingLogger()
    const service = await startService(config, { log })
    await eventually(async () => expect((await call(`${service.url}/readyz`)).status).toBe(200))
    const stopped = service.stop()
    const answer = await call(`${service.url}/readyz`)
    expect(answer).toMatchObject({ status: 503, headers: { connection: 'close' } })
    expect(JSON.parse(answer.body)).toEqual({ status: 'not_ready', reason: 'the service is stopping' })
    expect((await call(`${service.url}/openapi.json`)).status).toBe(200)
    await stopped
    await expect(call(`${service.url}/livez`)).rejects.toThrow('ECONNREFUSED')
    await expect(call(service.metricsUrl)).rejects.toThrow('ECONNREFUSED')
    expect(lines.map((line) => JSON.parse(line).message)).toContain('stopped')
  })

  test('loses nothing that it accepted: a write that waits for the database is answered, a long poll ends early', async () => {
    const database = await createTestDatabase()
    const service = await startService(loadConfig({ ...ENV, DATABASE_URL: database.url, LOG_LEVEL: 'off' }))
    const post = async (path: string, body: object) => {
      const headers = { 'content-type': 'application/json' }
      return fetch(`${service.url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
    }
    let requests = 0
    service.app.server.on('request', () => {
      requests += 1
    })
    const locker = await lockDocuments(database)
    const written = post('/api/documents', { documents: [{ url: 'https://example.com/' }] })
    await eventually(async () => expect(await waitersOf(database)).toBeGreaterThan(0))
    const startedAt = performance.now()
    const polled = post('/api/queue', { operation: 'pop', queue: 'frontier', waitSeconds: 20 })
    // Other sessions, too, may wait for the lock: only what has reached the service is accepted.
    await eventually(() => expect(requests).toBe(2))
    const stopped = service.stop()
    expect(await (await polled).json()).toEqual({ success: true, items: [] })
    expect(performance.now() - startedAt).toBeLessThan(10_000)
    await locker.query('COMMIT')
    const answer = await written
    expect([answer.status, answer.headers.get('connection')]).toEqual([200, 'close'])
    await stopped
    expect(await database.query('SELECT url FROM public.documents')).toEqual([{ url: 'https://example.com/' }])
  })

  test('stops once, however often it is told to', async () => {
    const service = await startService(loadConfig({ ...ENV, LOG_LEVEL: 'off' }))
    await Promise.all([service.stop(), service.stop()])
    await service.stop()
  })

  test('leaves nothing behind where a port is taken', async () => {
    const first = await startService(loadConfig({ ...ENV, LOG_LEVEL: 'off' }))
    atEndOfFile(() => first.stop())
    const port = new URL(first.url).port
    await expect(startService(loadConfig({ ...ENV, LOG_LEVEL: 'off', PORT: port }))).rejects.toThrow('EADDRINUSE')
  })
})

/** Nobody gets to the documents until the transaction of this connection ends. */
async function lockDocuments(database: TestDatabase): Promise<pg.Client> {
  const locker = new pg.Client({ connectionString: database.url })
  await locker.connect()
  atEndOfFile(() => locker.end())
  await locker.query('BEGIN')
  await locker.query('LOCK TABLE public.documents IN ACCESS EXCLUSIVE MODE')
  return locker
}

/** How many sessions wait for the documents. */
async function waitersOf(database: TestDatabase): Promise<number> {
  const text = `SELECT FROM pg_locks WHERE relation = 'public.documents'::regclass AND NOT granted`
  return (await database.query(text)).length
}

/** The program as the image runs it. */
class Program {
  readonly child: ChildProcess
  readonly lines: string[] = []

  constructor(env: Record<string, string>) {
    this.child = spawn(process.execPath, [MAIN], { env: { ...ENV, ...env }, stdio: ['ignore', 'pipe', 'inherit'] })
    createInterface({ input: this.child.stdout as NonNullable<ChildProcess['stdout']> }).on('line', (line) => {
      this.lines.push(line)
    })
    atEndOfFile(() => void this.child.kill('SIGKILL'))
  }

  says(message: string): boolean {
    return this.lines.some((line) => JSON.parse(line).message === message)
  }

  async signal(name: NodeJS.Signals): Promise<number | null> {
    const exited = once(this.child, 'exit')
    this.child.kill(name)
    const [code] = await exited
    return code
  }
}

describe('the program', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)('ends with exit code 0 on %s, with a database or without', async (name) => {
    const program = new Program({})
    await eventually(() => program.says('the service listens'), { timeoutMs: 20_000 })
    expect(await program.signal(name)).toBe(0)
    expect(program.says('stopped')).toBe(true)
  })

  test('ends at once on a second signal', async () => {
    const program = new Program({ SHUTDOWN_DELAY: '20s' })
    await eventually(() => program.says('the service listens'), { timeoutMs: 20_000 })
    program.child.kill('SIGTERM')
    await eventually(() => program.says('stopping: not ready any more, still serving'))
    expect(await program.signal('SIGTERM')).toBe(1)
  })
})
