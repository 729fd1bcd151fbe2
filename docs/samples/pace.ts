import { setTimeout as sleep } from 'node:timers/promises'

/** Keeps turns `delaySeconds` apart, from the start of one to the start of the next, whoever takes them. */
export class Pace {
  readonly #delayMs: number
  #nextAt = 0

  constructor(delaySeconds: number) {
    this.#delayMs = delaySeconds * 1_000
  }

  /** Waits for the next turn. */
  async turn(): Promise<void> {
    const now = performance.now()
    const at = Math.max(now, this.#nextAt)
    this.#nextAt = at + this.#delayMs
    await sleep(at - now)
  }
}
