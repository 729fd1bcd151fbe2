import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { join } from 'node:path'
import { json } from 'node:stream/consumers'
import { Worker } from 'node:worker_threads'
import { type ServiceProcess, startService } from '../../fault/service-process.ts'
import { createTestDatabase } from '../../support/database.ts'
import { atEndOfFile } from '../../support/end-of-file.ts'
import { eventually } from '../../support/eventually.ts'
import { temporaryFolder } from '../../support/temporary.ts'
import type { Level } from './attack.ts'
import type { Reading } from './meter.ts'
import type { Polls } from './poller.ts'

/** The names of what is there before the first attack. */
export const KNOWN = { id: '018f0000-0000-7000-8000-00000000000a', queue: 'known', host: 'known.example' }

/** A queue whose items are more than one answer holds. */
export const LARGE = { queue: 'large', items: 160 }
const LARGE_TEXT = 'x'.repeat(250_000)

const HERE = import.meta.dirname
const HEAP_MEBIBYTES = 256
/** As in the image. */
const IMAGE_ARGUMENTS = ['--max-semi-space-size=8']
const LEVELS = ['Read', 'Write', 'Admin'] as const

/** A service with a small heap in a process of its own, watched from outside and from inside. It ends with the file. */
export class Victim {
  readonly service: ServiceProcess
  readonly #meterSocket: string
  #poller: Worker | undefined

  private constructor(service: ServiceProcess, meterSocket: string) {
    this.service = service
    this.#meterSocket = meterSocket
  }

  static async start(environment: Record<string, string> = {}): Promise<Victim> {
    const database = await createTestDatabase()
    const folder = await temporaryFolder()
    const tokens = join(folder, 'tokens')
    await writeFile(tokens, LEVELS.map((level) => `${level} ${tokenOf(level)} ${level}\n`).join(''))
    const meterSocket = join(folder, 'meter')
    const service = await startService({
      databaseUrl: database.url,
      nodeArguments: [
        ...IMAGE_ARGUMENTS,
        `--max-old-space-size=${HEAP_MEBIBYTES}`,
        '--expose-gc',
        '--import',
        join(HERE, 'meter.ts'),
      ],
      // A machine that has other things to do is no reason to turn callers away: turns are judged by what they take.
      environment: {
        // As in the image: otherwise memory that was freed is kept, here and there.
        MALLOC_ARENA_MAX: '1',
        MALLOC_MMAP_THRESHOLD_: '131072',
        AUTH: 'token',
        AUTH_TOKENS_FILE: tokens,
        METER_SOCKET: meterSocket,
        SHED_EVENT_LOOP_DELAY: '1m',
        ...environment,
      },
    })
    const victim = new Victim(service, meterSocket)
    await victim.#watch()
    atEndOfFile(() => victim.#poller?.terminate())
    return victim
  }

  get port(): number {
    return Number(new URL(this.service.url).port)
  }

  /** Sends a request with the credential of a level; answers its status and body. */
  async call(level: Level, method: string, path: string, body?: unknown): Promise<{ status: number; body: string }> {
    const headers = { authorization: `Bearer ${tokenOf(level)}`, 'content-type': 'application/json' }
    const response = await fetch(`${this.service.url}${path}`, { method, headers, body: JSON.stringify(body) })
    return { status: response.status, body: await response.text() }
  }

  /** Stores what attacks ask for. */
  async prepare(): Promise<void> {
    await this.call('Admin', 'PUT', `/api/queues/${KNOWN.queue}`, {})
    const items = ['a', 'b'].map((id) => ({ id, payload: {} }))
    await this.call('Write', 'POST', '/api/queue', { operation: 'push', queue: KNOWN.queue, items })
    await this.call('Write', 'POST', '/api/documents', { documents: [{ id: KNOWN.id, url: 'https://known.example/' }] })
    const part = LARGE.items / 4
    for (let round = 0; round < 4; round += 1) {
      const payloads = Array.from({ length: part }, () => ({ payload: { text: LARGE_TEXT } }))
      await this.call('Write', 'POST', '/api/queue', { operation: 'push', queue: LARGE.queue, items: payloads })
      const pages = payloads.map((_, at) => ({ url: `https://large.example/${round}/${at}`, metadata: { LARGE_TEXT } }))
      await this.call('Write', 'POST', '/api/documents', { documents: pages })
    }
  }

  /** What the service itself measured since it was asked last. */
  async reading(): Promise<Reading> {
    // A connection of its own: one that is kept may be closed by the other side just as it is used again.
    const asked = request({ socketPath: this.#meterSocket, agent: false }).end()
    const [response] = await once(asked, 'response')
    return (await json(response)) as Reading
  }

  /** What those saw who asked `/livez` since this was called last. */
  async polls(): Promise<Polls> {
    const poller = this.#poller
    if (!poller) throw new Error('Nobody polls.')
    const told = once(poller, 'message')
    poller.postMessage('tell')
    const [polls] = await told
    return polls as Polls
  }

  /** The metrics whose name matches, with their values. */
  async metrics(name: RegExp): Promise<Record<string, number>> {
    const lines = (await (await fetch(this.service.metricsUrl)).text()).split('\n')
    const found = lines.filter((line) => name.test(line)).map((line) => line.split(' ') as [string, string])
    return Object.fromEntries(found.map(([key, value]) => [key, Number(value)]))
  }

  /** Brings a process that an attack has killed back for the next one. */
  async revive(): Promise<void> {
    await this.service.kill()
    this.service.launch()
    await this.service.ready()
    await this.#poller?.terminate()
    await this.#watch()
  }

  async #watch(): Promise<void> {
    this.#poller = new Worker(join(HERE, 'poller.ts'), { workerData: `${this.service.url}/livez` })
    await eventually(async () => (await this.polls()).count > 0)
  }
}

/** The credential of a level; nobody's is one that is not known. */
export function tokenOf(level: Level): string {
  return `the-token-of-somebody-with-${level}`
}
