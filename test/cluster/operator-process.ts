import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { ROOT } from './place.ts'

const READ_LIMIT_MS = 5_000

/** One replica of the operator as a process of this machine, against the cluster of a kubeconfig. */
export class OperatorProcess {
  readonly #child: ChildProcess
  readonly exited: Promise<number>
  #log = ''

  constructor(env: Record<string, string>) {
    const ports = { HOST: '127.0.0.1', HEALTH_PORT: '0', METRICS_PORT: '0' }
    this.#child = spawn(process.execPath, [join(ROOT, 'operator', 'process', 'main.ts')], {
      env: { PATH: process.env.PATH, ...ports, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on('data', (data: Buffer) => {
        this.#log += data
      })
    }
    this.exited = once(this.#child, 'exit').then(([code]) => (typeof code === 'number' ? code : -1))
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name)
  }

  /** What it has logged, in lines that are JSON. */
  get log(): { message: string; [field: string]: unknown }[] {
    const lines = this.#log.split('\n').filter((line) => line.startsWith('{') && line.endsWith('}'))
    return lines.map((line) => JSON.parse(line))
  }

  /** Everything printed, also what is not JSON. */
  get output(): string {
    return this.#log
  }

  /** The status of `/readyz`. */
  async readiness(): Promise<number> {
    return (await this.#fetch(this.#port('healthPort'), '/readyz')).status
  }

  /** The values of a metric, by its labels. */
  async metric(name: string): Promise<Record<string, number>> {
    const text = await (await this.#fetch(this.#port('metricsPort'), '/metrics')).text()
    const lines = text.split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
    return Object.fromEntries(
      lines.map((line) => {
        const at = line.lastIndexOf(' ')
        return [line.slice(name.length, at), Number(line.slice(at + 1))]
      }),
    )
  }

  #fetch(port: number, path: string): Promise<Response> {
    return fetch(`http://127.0.0.1:${port}${path}`, { signal: AbortSignal.timeout(READ_LIMIT_MS) })
  }

  #port(name: string): number {
    const started = this.log.find((line) => name in line)
    if (started === undefined) throw new Error(`The operator has not started: ${this.#log.slice(-2_000)}`)
    return started[name] as number
  }
}
