/**
 * Those who wait for room may hold this share of the budget together, beside what requests hold, which do not wait but are turned
 * away: a large answer that is being made keeps nobody else out.
 */
const WAITING_SHARE = 0.5

/** Of the budget, this is not for what is large and can be asked for again: a few of those do not shut everybody else out. */
const SPARE_SHARE = 0.25

/** Somebody who waits for room. */
type Waiting = { bytes: number; admit: (hold: Hold) => void }

/** Who holds what: bytes held by those who wait for room count in both figures. */
class Ledger {
  readonly maxBytes: number
  heldBytes = 0
  patientBytes = 0
  readonly waiting = new Set<Waiting>()

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes
  }

  /** Whether a request may hold more. What those hold who have waited does not count: one of them may always go on. */
  fits(bytes: number, leavesSpare = false): boolean {
    const spareBytes = leavesSpare ? this.maxBytes * SPARE_SHARE : 0
    return this.heldBytes - this.patientBytes + bytes + spareBytes <= this.maxBytes
  }

  add(bytes: number, isPatient: boolean): void {
    this.heldBytes += bytes
    if (isPatient) this.patientBytes += bytes
    if (bytes < 0) this.admitWaiting()
  }

  /** Lets those in who wait, in their order; a large one is not overtaken by a small one. */
  admitWaiting(): void {
    for (const next of this.waiting) {
      if (!this.#admits(next.bytes)) return
      this.waiting.delete(next)
      next.admit(new Hold(this, next.bytes, true))
    }
  }

  /** One at a time always gets in, so that they go on, however much the requests hold and however much it asks for. */
  #admits(bytes: number): boolean {
    if (this.patientBytes === 0) return true
    return this.heldBytes + bytes <= this.maxBytes && this.patientBytes + bytes <= this.maxBytes * WAITING_SHARE
  }
}

/** Bytes that somebody holds in memory. Everything on it may be called at any time, in any order, any number of times. */
export class Hold {
  readonly #ledger: Ledger
  readonly #isPatient: boolean
  #bytes = 0
  #isReleased = false

  constructor(ledger: Ledger, bytes: number, isPatient: boolean) {
    this.#ledger = ledger
    this.#isPatient = isPatient
    this.grow(bytes)
  }

  /** What is held now; nothing after `release()`. */
  get bytes(): number {
    return this.#bytes
  }

  /**
   * Holds more if there is room for it; with `leavesSpare`, if a quarter of the budget is free beside it. Answers false where there is none, and after
   * `release()`: then nothing more is held.
   */
  tryGrow(bytes: number, { leavesSpare = false } = {}): boolean {
    if (this.#isReleased || !this.#ledger.fits(bytes, leavesSpare)) return false
    this.grow(bytes)
    return true
  }

  /** Holds more, whether there is room or not: for what is in memory already. Does nothing after `release()`. */
  grow(bytes: number): void {
    if (!this.#isReleased) this.#change(bytes)
  }

  /** Gives a part back, at most what is held. */
  shrink(bytes: number): void {
    this.#change(-Math.min(bytes, this.#bytes))
  }

  /** Gives everything back, for good. */
  release(): void {
    this.#isReleased = true
    this.shrink(this.#bytes)
  }

  #change(bytes: number): void {
    if (bytes === 0) return
    this.#bytes += bytes
    this.#ledger.add(bytes, this.#isPatient)
  }
}

/**
 * Counts everything that is held in memory for callers: bodies of requests, imports under way, answers that were not read
 * yet. Requests ask with `tryHold` and are turned away where there is no room; imports ask with `hold` and wait.
 */
export class ByteBudget {
  readonly #ledger: Ledger

  constructor(maxBytes: number) {
    this.#ledger = new Ledger(maxBytes)
  }

  get maxBytes(): number {
    return this.#ledger.maxBytes
  }

  /**
   * What is held by all together. More than `maxBytes` where somebody held what was in memory already, or who had waited holds
   * something beside the requests.
   */
  get heldBytes(): number {
    return this.#ledger.heldBytes
  }

  /** Whether not even one byte more may be held. */
  get isFull(): boolean {
    return !this.#ledger.fits(1)
  }

  /** How many wait for room. */
  get waiting(): number {
    return this.#ledger.waiting.size
  }

  /** A hold of nothing, that grows. */
  open(): Hold {
    return new Hold(this.#ledger, 0, false)
  }

  /** Holds so many bytes, or answers undefined where there is no room; with `leavesSpare`, as in `Hold.tryGrow`. */
  tryHold(bytes: number, { leavesSpare = false } = {}): Hold | undefined {
    return this.#ledger.fits(bytes, leavesSpare) ? new Hold(this.#ledger, bytes, false) : undefined
  }

  /**
   * Holds so many bytes as soon as there is room, first come, first served; rejects with the signal's reason when it aborts
   * before. Whoever waits here must hold nothing that came by waiting, unless it is given back whatever happens to this wait:
   * two of them could wait for each other. More than one may hold at most half of the budget together; one alone may hold
   * any number.
   */
  hold(bytes: number, signal: AbortSignal): Promise<Hold> {
    if (signal.aborted) return Promise.reject(signal.reason)
    const { promise, resolve, reject } = Promise.withResolvers<Hold>()
    const waiting: Waiting = { bytes, admit: resolve }
    const onAbort = () => {
      // The one after it may fit.
      if (this.#ledger.waiting.delete(waiting)) this.#ledger.admitWaiting()
      reject(signal.reason)
    }
    signal.addEventListener('abort', onAbort)
    this.#ledger.waiting.add(waiting)
    this.#ledger.admitWaiting()
    return promise.finally(() => signal.removeEventListener('abort', onAbort))
  }
}
