import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { findFreePort } from '../../../app/embedded/free-port.ts'
import { cpuSeconds, memoryMiB } from '../proc-stat.ts'

const POLL_MS = 50
/** As in the Deployment. */
const NODE_ARGS = ['--max-semi-space-size=4', '--optimize-for-size']

export type OperatorSettings = { program: string; kubeconfig: string; proxyPort: number; logFile: string }

/** The bundled operator as a process of its own, started as its Deployment does. */
export class OperatorUnderTest {
  readonly #child: ChildProcess
  readonly #healthPort: number
  readonly #metricsPort: number
  readonly startedAtMs = performance.now()

  private constructor(child: ChildProcess, ports: number[]) {
    const [health = 0, metrics = 0] = ports
    this.#child = child
    this.#healthPort = health
    this.#metricsPort = metrics
  }

  static async start({ program, kubeconfig, proxyPort, logFile }: OperatorSettings): Promise<OperatorUnderTest> {
    const ports = await Promise.all([findFreePort(), findFreePort()])
    const log = openSync(logFile, 'a')
    const env = {
      PATH: process.env.PATH,
      KUBECONFIG: kubeconfig,
      POD_NAME: 'bench',
      POD_NAMESPACE: 'default',
      HOST: '127.0.0.1',
      HEALTH_PORT: String(ports[0]),
      METRICS_PORT: String(ports[1]),
      // There is no DNS for Services here: whatever the operator asks of a service reaches the simulation.
      NODE_USE_ENV_PROXY: '1',
      HTTP_PROXY: `http://127.0.0.1:${proxyPort}`,
    }
    const child = spawn(process.execPath, [...NODE_ARGS, program], { env, stdio: ['ignore', log, log] })
    process.once('exit', () => child.kill('SIGKILL'))
    closeSync(log)
    return new OperatorUnderTest(child, ports)
  }

  /** Milliseconds from the start until everything was observed (`/readyz` answers 200). */
  async untilReady(): Promise<number> {
    return this.#until(async () => {
      const answer = await fetch(`http://127.0.0.1:${this.#healthPort}/readyz`).catch(() => undefined)
      await answer?.arrayBuffer()
      return answer?.status === 200
    })
  }

  /** Milliseconds from the start until so many reconciles were done and no key waits. */
  async untilReconciled(count: number): Promise<number> {
    return this.#until(async () => {
      const { reconciles, depth, active } = await this.work()
      return reconciles >= count && depth === 0 && active === 0
    })
  }

  async #until(check: () => Promise<boolean>): Promise<number> {
    while (!(await check())) {
      if (this.#child.exitCode !== null) throw new Error('The operator has ended: see its log.')
      await delay(POLL_MS)
    }
    return performance.now() - this.startedAtMs
  }

  /** What it has done, and what it has still to do. */
  async work(): Promise<{ reconciles: number; errors: number; depth: number; active: number; reads: number }> {
    const text = await (await fetch(`http://127.0.0.1:${this.#metricsPort}/metrics`)).text()
    return {
      reconciles: sumOf(text, 'controller_runtime_reconcile_total'),
      errors: sumOf(text, 'controller_runtime_reconcile_errors_total'),
      depth: sumOf(text, 'workqueue_depth'),
      active: sumOf(text, 'controller_runtime_active_workers'),
      reads: sumOf(text, 'rest_client_requests_total', 'method="GET"'),
    }
  }

  get memoryMiB(): { now: number; peak: number } {
    return memoryMiB(this.#child.pid ?? 0)
  }

  get cpuSeconds(): number {
    return cpuSeconds(this.#child.pid ?? 0)
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null) return
    const ended = once(this.#child, 'exit')
    this.#child.kill('SIGTERM')
    await ended
  }
}

/** The sum of a metric over its labels. */
function sumOf(text: string, name: string, label = ''): number {
  const lines = text.split('\n').filter((line) => line.startsWith(`${name}{`) && line.includes(label))
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0)
}
