/** How long a request works at most on something large before it answers with what it has done; its last step is beyond. */
export const WORK_MS = 20_000

/** Milliseconds of a clock that never goes back. */
export type Clock = () => number

/** The time that a request has for something large. It is over early for a caller who has gone, and when the service stops. */
export class WorkTime {
  readonly #signal: AbortSignal | undefined
  readonly #clock: Clock
  readonly #endsAtMs: number

  constructor(signal: AbortSignal | undefined, clock: Clock = () => performance.now()) {
    this.#signal = signal
    this.#clock = clock
    this.#endsAtMs = clock() + WORK_MS
  }

  get isOver(): boolean {
    return this.#signal?.aborted === true || this.#clock() >= this.#endsAtMs
  }
}
