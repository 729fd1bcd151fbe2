import type { Cancel, Clock } from '../runtime/clock.ts'

/** Calls back once nothing has been heard for too long. */
export class SilenceTimer {
  readonly #clock: Clock
  readonly #limitMs: number
  #heardAtMs = 0
  #cancel: Cancel | undefined
  #isOver = false

  constructor(clock: Clock, limitMs: number) {
    this.#clock = clock
    this.#limitMs = limitMs
  }

  /** Whether it has called back. */
  get isOver(): boolean {
    return this.#isOver
  }

  start(onSilence: () => void): void {
    this.reset()
    this.#arm(this.#limitMs, onSilence)
  }

  /** Something was heard. Cheap: the timer is set anew only when it fires. */
  reset(): void {
    this.#heardAtMs = this.#clock.monotonicMs()
  }

  stop(): void {
    this.#cancel?.()
  }

  #arm(ms: number, onSilence: () => void): void {
    this.#cancel = this.#clock.after(ms, () => {
      const leftMs = this.#heardAtMs + this.#limitMs - this.#clock.monotonicMs()
      if (leftMs > 0) return this.#arm(leftMs, onSilence)
      this.#isOver = true
      onSilence()
    })
  }
}
