/** Child processes of the bench: servers that listen on a port, and the load process. */
import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { findFreePort } from '../../app/embedded/free-port.ts'
import type { LoadAnswer, LoadCommand, LoadResult, LoadSpec } from './load/spec.ts'

const START_TIMEOUT_MS = 60_000
const STOP_TIMEOUT_MS = 30_000

export type ServerOptions = {
  /** What node is started with: its options, then the program. */
  args: string[]
  env: Record<string, string>
  logFile: string
}

/** A server process that is ready to be called. */
export class Server {
  readonly port: number
  readonly pid: number
  readonly #child: ChildProcess

  static async start(options: ServerOptions): Promise<Server> {
    const port = await findFreePort()
    const output = openSync(options.logFile, 'w')
    const child = spawn(process.execPath, options.args, {
      env: { PATH: process.env.PATH ?? '', ...options.env, PORT: String(port) },
      stdio: ['ignore', output, output],
    })
    closeSync(output)
    // A bench that is interrupted leaves no server behind.
    const endChild = () => child.kill()
    process.once('exit', endChild)
    child.once('exit', () => process.off('exit', endChild))
    await untilReady(child, port, options.logFile)
    return new Server(child, port)
  }

  private constructor(child: ChildProcess, port: number) {
    this.#child = child
    this.port = port
    this.pid = child.pid ?? 0
  }

  async stop(): Promise<void> {
    await end(this.#child)
  }
}

async function untilReady(child: ChildProcess, port: number, logFile: string): Promise<void> {
  const deadline = performance.now() + START_TIMEOUT_MS
  while (child.exitCode === null && performance.now() < deadline) {
    const answer = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined)
    await answer?.arrayBuffer()
    if (answer?.ok) return
    await delay(50)
  }
  await end(child)
  throw new Error(`A server did not start:\n${readFileSync(logFile, 'utf8').slice(-2_000)}`)
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS)
  await ended
  clearTimeout(timer)
}

/** The process that makes the requests. */
export class Load {
  readonly #child: ChildProcess

  constructor() {
    this.#child = fork(join(import.meta.dirname, 'load', 'main.ts'))
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  /** Builds the requests and opens the connections of a run. */
  async prepare(port: number, spec: LoadSpec): Promise<void> {
    await this.#ask({ command: 'prepare', port, spec })
  }

  /** Runs what was prepared. */
  async run(): Promise<LoadResult> {
    const answer = await this.#ask({ command: 'run' })
    if (!('result' in answer)) throw new Error('The load process answered something else than a result.')
    return answer.result
  }

  async stop(): Promise<void> {
    await end(this.#child)
  }

  async #ask(command: LoadCommand): Promise<LoadAnswer> {
    const ended = new AbortController()
    const answered = once(this.#child, 'message', { signal: ended.signal })
    const exited = once(this.#child, 'exit', { signal: ended.signal })
    // The one that does not come first is given up.
    for (const promise of [answered, exited]) promise.catch(() => {})
    this.#child.send(command)
    const [answer] = (await Promise.race([answered, exited])) as [LoadAnswer | number | null]
    ended.abort()
    if (answer === null || typeof answer === 'number') throw new Error('The load process ended.')
    if ('error' in answer) throw new Error(`The load process failed: ${answer.error}`)
    return answer
  }
}

/** Runs a program to its end and answers the JSON that it printed. */
export async function runScript<T>(args: string[], env: Record<string, string>): Promise<T> {
  const child = spawn(process.execPath, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = once(child, 'close')
  let output = ''
  for await (const chunk of child.stdout.setEncoding('utf8')) output += chunk
  const [code] = await ended
  if (code !== 0) throw new Error(`${args.join(' ')} ended with code ${code}.`)
  return JSON.parse(output) as T
}
