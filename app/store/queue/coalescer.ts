import { isProblem } from '../database.ts'

/** The answer to a request that was too much for its batch: it goes to the front of the next one. Never to all of a batch. */
export const AGAIN = Symbol('again')

const PATIENCE_MS = 250

/** How requests are put together. `run` answers each of its requests, in order. */
export type CoalescerOptions<Request, Answer> = {
  run: (requests: Request[]) => Promise<(Answer | typeof AGAIN)[]>
  /** Items in a request. */
  weigh: (request: Request) => number
  /** Most items of a batch. */
  maxWeight: number
  /** A request of so many items gains nothing from company: it is run at once, on its own. */
  aloneFrom: number
  /** Batches of the same key that are under way at a time. */
  maxInFlight: number
  /** Whether an error may be one request's fault: then each of the batch is run alone. */
  isOwnFault: (error: unknown) => boolean
}

type Pending<Request, Answer> = {
  request: Request
  /** When it came, of `performance.now()`. */
  cameAt: number
  resolve: (answer: Answer) => void
  reject: (error: unknown) => void
}

type Lane<Request, Answer> = { waiting: Pending<Request, Answer>[]; inFlight: number; isScheduled: boolean }

/**
 * Puts small requests of the same key together: those that arrive while `maxInFlight` batches are under way share the
 * next one. Batches take requests in the order of arrival; an error is the error of each request of its batch.
 */
export class Coalescer<Request, Answer> {
  readonly #options: CoalescerOptions<Request, Answer>
  readonly #lanes = new Map<string, Lane<Request, Answer>>()

  constructor(options: CoalescerOptions<Request, Answer>) {
    this.#options = options
  }

  /** Answers when the batch that the request is put into has ended. */
  submit(key: string, request: Request): Promise<Answer> {
    if (this.#options.weigh(request) >= this.#options.aloneFrom) return this.#runAlone(request)
    return new Promise((resolve, reject) => {
      const lane = this.#lane(key)
      lane.waiting.push({ request, cameAt: performance.now(), resolve, reject })
      this.#schedule(key, lane)
    })
  }

  async #runAlone(request: Request): Promise<Answer> {
    return (await this.#options.run([request]))[0] as Answer
  }

  #lane(key: string): Lane<Request, Answer> {
    const known = this.#lanes.get(key)
    if (known) return known
    const made = { waiting: [], inFlight: 0, isScheduled: false }
    this.#lanes.set(key, made)
    return made
  }

  /** Waits for the end of this turn of the event loop: requests that were read in the same turn go together. */
  #schedule(key: string, lane: Lane<Request, Answer>): void {
    if (lane.isScheduled || lane.inFlight >= this.#options.maxInFlight) return
    lane.isScheduled = true
    setImmediate(() => {
      lane.isScheduled = false
      void this.#flush(key, lane)
    })
  }

  async #flush(key: string, lane: Lane<Request, Answer>): Promise<void> {
    const batch = this.#take(lane)
    if (batch.length > 0) {
      lane.inFlight += 1
      if (lane.waiting.length > 0) this.#schedule(key, lane)
      lane.waiting.unshift(...(await this.#settle(batch, lane)))
      lane.inFlight -= 1
    }
    if (lane.waiting.length > 0) this.#schedule(key, lane)
    else if (lane.inFlight === 0 && !lane.isScheduled) this.#lanes.delete(key)
  }

  #take(lane: Lane<Request, Answer>): Pending<Request, Answer>[] {
    let weight = 0
    const end = lane.waiting.findIndex(({ request }, index) => {
      weight += this.#options.weigh(request)
      return index > 0 && weight > this.#options.maxWeight
    })
    return lane.waiting.splice(0, end === -1 ? lane.waiting.length : end)
  }

  /** Answers the requests whose turn comes again. */
  async #settle(batch: Pending<Request, Answer>[], lane: Lane<Request, Answer>): Promise<Pending<Request, Answer>[]> {
    try {
      const answers = await this.#options.run(batch.map((pending) => pending.request))
      return batch.filter((pending, index) => !isSettled(pending, answers[index] as Answer | typeof AGAIN))
    } catch (error) {
      if (batch.length > 1 && this.#options.isOwnFault(error)) await this.#settleEach(batch, lane)
      else for (const pending of batch) pending.reject(error)
      if (isAway(error)) rejectPatient(lane, error)
      return []
    }
  }

  async #settleEach(batch: Pending<Request, Answer>[], lane: Lane<Request, Answer>): Promise<void> {
    for (const pending of batch) await this.#settle([pending], lane)
  }
}

/** Whether the database did not answer at all: so it would not have answered those that wait, either. */
function isAway(error: unknown): boolean {
  return isProblem(error, 'database_unavailable') || isProblem(error, 'query_timeout')
}

/** Those that have waited while a batch found out that nobody answers would wait as long again in the next one. */
function rejectPatient<Request, Answer>(lane: Lane<Request, Answer>, error: unknown): void {
  const since = performance.now() - PATIENCE_MS
  const patient = lane.waiting.filter(({ cameAt }) => cameAt < since)
  lane.waiting = lane.waiting.filter(({ cameAt }) => cameAt >= since)
  for (const { reject } of patient) reject(error)
}

function isSettled<Request, Answer>(pending: Pending<Request, Answer>, answer: Answer | typeof AGAIN): boolean {
  if (answer === AGAIN) return false
  pending.resolve(answer)
  return true
}
