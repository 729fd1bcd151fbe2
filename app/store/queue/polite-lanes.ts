export type LanesOptions<Answer> = {
  /** Works of the same key that run at a time. */
  maxInFlight: number
  /** What is answered where a work that began later found nothing. */
  nothing: Answer
  isNothing: (answer: Answer) => boolean
}

type Waiting<Answer> = {
  work: () => Answer | Promise<Answer>
  resolve: (answer: Answer) => void
  reject: (error: unknown) => void
}

type Lane<Answer> = { waiting: Waiting<Answer>[]; inFlight: number }

/**
 * Runs few works of a key at a time, in order of arrival. When one finds nothing, those that had arrived before it began
 * have their answer too: a crowd that wakes for one item runs a few statements and not one each.
 */
export class PoliteLanes<Answer> {
  readonly #options: LanesOptions<Answer>
  readonly #lanes = new Map<string, Lane<Answer>>()

  constructor(options: LanesOptions<Answer>) {
    this.#options = options
  }

  /** Runs `work`, or answers nothing without it. */
  run(key: string, work: () => Answer | Promise<Answer>): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const lane = this.#lanes.get(key) ?? { waiting: [], inFlight: 0 }
      this.#lanes.set(key, lane)
      lane.waiting.push({ work, resolve, reject })
      this.#next(key, lane)
    })
  }

  #next(key: string, lane: Lane<Answer>): void {
    if (lane.inFlight >= this.#options.maxInFlight) return
    const waiting = lane.waiting.shift()
    if (waiting !== undefined) void this.#begin(key, lane, waiting)
    else if (lane.inFlight === 0) this.#lanes.delete(key)
  }

  async #begin(key: string, lane: Lane<Answer>, { work, resolve, reject }: Waiting<Answer>): Promise<void> {
    const arrivedBefore = new Set(lane.waiting)
    lane.inFlight += 1
    try {
      const answer = await work()
      if (this.#options.isNothing(answer)) this.#answerNothing(lane, arrivedBefore)
      resolve(answer)
    } catch (error) {
      reject(error)
    }
    lane.inFlight -= 1
    this.#next(key, lane)
  }

  #answerNothing(lane: Lane<Answer>, arrived: Set<Waiting<Answer>>): void {
    lane.waiting = lane.waiting.filter((waiting) => {
      if (arrived.has(waiting)) waiting.resolve(this.#options.nothing)
      return !arrived.has(waiting)
    })
  }
}
