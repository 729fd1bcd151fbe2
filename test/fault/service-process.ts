/** The real service as a process of its own, which may be killed and started again. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { findFreePort } from '../../app/embedded/free-port.ts'
import { atEndOfFile } from '../support/end-of-file.ts'
import { eventually } from '../support/eventually.ts'

const ROOT = join(import.meta.dirname, '../..')
const START_TIMEOUT_MS = 60_000
const LOG_LINES = 20

export type ServiceOptions = {
  databaseUrl: string
  /** Of Node, before the program. */
  nodeArguments?: string[]
  environment?: Record<string, string>
}

/** `node app/main.ts` on ports that stay the same over its lives. It ends with the file. */
export class ServiceProcess {
  readonly url: string
  readonly metricsUrl: string
  readonly #options: ServiceOptions
  #child: ChildProcess | undefined
  #log: string[] = []

  /** Use `startService`. */
  constructor(options: ServiceOptions, port: number, metricsPort: number) {
    this.#options = options
    this.url = `http://127.0.0.1:${port}`
    this.metricsUrl = `http://127.0.0.1:${metricsPort}/metrics`
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  /** The last lines that it wrote, of all its lives. */
  get log(): string {
    return this.#log.join('')
  }

  /** Starts the program; it may not be ready yet. */
  launch(): void {
    const { nodeArguments = [], environment, databaseUrl } = this.#options
    const child = spawn(process.execPath, [...nodeArguments, 'app/main.ts'], {
      cwd: ROOT,
      env: {
        PATH: process.env.PATH,
        DATABASE_URL: databaseUrl,
        AUTH: 'none',
        LOG_LEVEL: 'error',
        PORT: new URL(this.url).port,
        METRICS_PORT: new URL(this.metricsUrl).port,
        ...environment,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    child.stdout.on('data', (text) => this.#keep(text))
    child.stderr.on('data', (text) => this.#keep(text))
    this.#child = child
  }

  /** Answers when it can serve. Fails, with what it wrote, when it ends instead. */
  async ready(): Promise<void> {
    const check = async () => {
      if (this.#child?.exitCode !== null) return true
      return (await fetch(`${this.url}/readyz`)).ok
    }
    await eventually(check, { timeoutMs: START_TIMEOUT_MS })
    if (this.#child?.exitCode !== null) throw new Error(`The service ended: ${this.log}`)
  }

  /** SIGKILL, or another signal; answers when it has ended. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#child
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'close')
    child.kill(signal)
    await ended
  }

  #keep(text: Buffer): void {
    this.#log.push(text.toString())
    this.#log.splice(0, this.#log.length - LOG_LINES)
  }
}

/** Starts a service and waits until it is ready. */
export async function startService(options: ServiceOptions): Promise<ServiceProcess> {
  const service = new ServiceProcess(options, await findFreePort(), await findFreePort())
  atEndOfFile(() => service.kill())
  service.launch()
  await service.ready()
  return service
}
