import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { atEndOfFile } from '../support/end-of-file.ts'

const ROOT = join(import.meta.dirname, '../..')

/** The sample crawler as a process of its own; it ends with the file. */
export class CrawlerProcess {
  readonly #child: ChildProcess
  readonly #ended: Promise<unknown>
  #output = ''

  constructor(args: string[], env: Record<string, string> = {}) {
    this.#child = spawn(process.execPath, ['docs/samples/crawler.ts', ...args], {
      cwd: ROOT,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#child.stdout?.on('data', (text) => this.#keep(text))
    this.#child.stderr?.on('data', (text) => this.#keep(text))
    this.#ended = once(this.#child, 'close')
    atEndOfFile(() => this.kill())
  }

  get output(): string {
    return this.#output
  }

  /** Waits for the end; answers the exit code, null after a signal. */
  async exitCode(): Promise<number | null> {
    await this.#ended
    return this.#child.exitCode
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#ended
  }

  #keep(text: Buffer): void {
    this.#output += text.toString()
  }
}
