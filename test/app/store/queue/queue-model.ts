/** What queues promise, as plain data: the reference that the store is compared with. Times are seconds of a virtual clock. */

/** The options of a queue, as `PUT` has them. */
export type ModelOptions = {
  retryLimit: number | null
  retryDelaySeconds: number
  retryBackoff: boolean
  deadLetter: string | null
  maxAgeSeconds: number | null
  keepDoneSeconds: number
  politeness: { delaySeconds: number; maxActive: number | null }
}

/** What is pushed. */
export type ModelPush = { id: string; priority: number; delaySeconds: number; group: string | null }

/** A delivery: what a receipt stands for. */
export type ModelDelivery = { queue: string; id: string; number: number; attempt: number }

type State = 'waiting' | 'leased' | 'failed' | 'done'

type Item = {
  id: string
  priority: number
  group: string | null
  place: number
  state: State
  /** When it can be given out; of a leased one, when its lease ends; of a failed or done one, since when it is that. */
  due: number
  /** When it is too old to be given out: fixed when it comes into the queue. */
  expires: number
  attempts: number
  delivery: number
  /** The queue whose dead letter it is. */
  source: string | null
}

type Arrival = Pick<Item, 'id' | 'priority' | 'group' | 'due' | 'source'>

// Real time passes between two operations: what is due later by it comes later.
const TICK_SECONDS = 1e-6

/** A set of queues; time moves by `advance`, and by a tick with each operation. */
export class QueueModel {
  readonly #queues = new Map<string, Map<string, Item>>()
  readonly #options = new Map<string, ModelOptions>()
  /** When the delay of a host ends, by queue and host. */
  readonly #hosts = new Map<string, number>()
  #now = 0
  #places = 0
  #deliveries = 0

  /** Makes a queue, or replaces its options. */
  setOptions(queue: string, options: ModelOptions): void {
    this.#options.set(queue, options)
    if (!this.#queues.has(queue)) this.#queues.set(queue, new Map())
  }

  advance(seconds: number): void {
    this.#now += seconds
  }

  push(queue: string, items: ModelPush[]): ('created' | 'duplicate')[] {
    this.advance(TICK_SECONDS)
    return items.map(({ delaySeconds, ...item }) => {
      if (this.#items(queue).has(item.id)) return 'duplicate'
      this.#add(queue, { ...item, due: this.#now + delaySeconds, source: null })
      return 'created'
    })
  }

  pop(queue: string, count: number, leaseSeconds: number | null): ModelDelivery[] {
    this.advance(TICK_SECONDS)
    return this.#ready(queue)
      .slice(0, count)
      .map((item) => this.#give(queue, item, leaseSeconds))
  }

  /** All that a polite pop may have at this moment, which is what one gets that asks for enough. */
  politePop(queue: string, perHost: number, leaseSeconds: number | null): ModelDelivery[] {
    this.advance(TICK_SECONDS)
    const byHost = Map.groupBy(this.#ready(queue), (item) => item.group)
    const given = [...byHost].flatMap(([host, items]) => {
      const chosen = host === null ? items : items.slice(0, this.#room(queue, host, perHost))
      if (host !== null && chosen.length > 0) this.#startDelay(queue, host, chosen.length)
      return chosen
    })
    return given.map((item) => this.#give(queue, item, leaseSeconds))
  }

  peek(queue: string, count: number): string[] {
    const delayed = this.#waiting(queue)
      .filter((item) => item.due > this.#now)
      .sort((a, b) => a.due - b.due || byPlace(a, b))
    return [...this.#ready(queue), ...delayed].slice(0, count).map((item) => item.id)
  }

  ack(delivery: ModelDelivery): 'done' | 'stale' {
    this.advance(TICK_SECONDS)
    const item = this.#held(delivery)
    if (item) this.#finish(delivery.queue, item)
    return item ? 'done' : 'stale'
  }

  /** Without `delaySeconds` with the queue's own delay. */
  nack(delivery: ModelDelivery, delaySeconds: number | null): 'done' | 'stale' {
    this.advance(TICK_SECONDS)
    const item = this.#held(delivery)
    if (!item) return 'stale'
    const delay = delaySeconds ?? this.#retryDelay(delivery.queue, item)
    if (this.#isDead(delivery.queue, item)) this.#bury(delivery.queue, [item])
    else Object.assign(item, { state: 'waiting', due: this.#now + delay })
    return 'done'
  }

  extend(delivery: ModelDelivery, leaseSeconds: number): 'done' | 'stale' {
    this.advance(TICK_SECONDS)
    const item = this.#held(delivery)
    if (item) item.due = this.#now + leaseSeconds
    return item ? 'done' : 'stale'
  }

  /** What the background does with lapsed leases, and with what is too old or done long enough, queue by queue. */
  sweep(queues: string[]): void {
    this.advance(TICK_SECONDS)
    for (const queue of queues) {
      const lapsed = this.#inState(queue, 'leased').filter((item) => item.due <= this.#now)
      const dead = lapsed.filter((item) => this.#isDead(queue, item)).sort((a, b) => a.place - b.place)
      for (const item of lapsed) Object.assign(item, { state: 'waiting', due: this.#now })
      this.#bury(queue, dead)
    }
    for (const queue of queues) this.#remove(queue)
  }

  /** Brings dead letters back: those that the queue keeps as failed, then those in its dead letter queue. */
  redrive(queue: string): number {
    this.advance(TICK_SECONDS)
    const failed = this.#inState(queue, 'failed').sort((a, b) => a.due - b.due || a.place - b.place)
    for (const item of failed) this.#arrive(queue, item, { ...item, due: this.#now, source: item.source })
    const { deadLetter } = this.#optionsOf(queue)
    const letters = deadLetter === null ? [] : this.#letters(deadLetter, queue)
    for (const item of letters) {
      this.#items(deadLetter as string).delete(item.id)
      this.#add(queue, { ...item, due: this.#now, source: null })
    }
    return failed.length + letters.length
  }

  /** Everything there is, in the order of arrival. */
  contents(queue: string): { id: string; state: State }[] {
    const items = [...this.#items(queue).values()].sort((a, b) => a.place - b.place)
    return items.map(({ id, state }) => ({ id, state }))
  }

  #items(queue: string): Map<string, Item> {
    return this.#queues.get(queue) as Map<string, Item>
  }

  #optionsOf(queue: string): ModelOptions {
    return this.#options.get(queue) as ModelOptions
  }

  #inState(queue: string, state: State): Item[] {
    return [...this.#items(queue).values()].filter((item) => item.state === state)
  }

  #add(queue: string, arrival: Arrival): void {
    const item = { id: arrival.id } as Item
    this.#items(queue).set(item.id, item)
    this.#arrive(queue, item, arrival)
  }

  #arrive(queue: string, item: Item, { priority, group, due, source }: Arrival): void {
    const { maxAgeSeconds } = this.#optionsOf(queue)
    this.#places += 1
    const expires = maxAgeSeconds === null ? Number.POSITIVE_INFINITY : due + maxAgeSeconds
    const anew = { place: this.#places, state: 'waiting', expires, attempts: 0, delivery: 0 } as const
    Object.assign(item, { priority, group, due, source, ...anew })
  }

  #waiting(queue: string): Item[] {
    return this.#inState(queue, 'waiting').filter((item) => item.expires > this.#now)
  }

  #ready(queue: string): Item[] {
    return this.#waiting(queue)
      .filter((item) => item.due <= this.#now)
      .sort(byPlace)
  }

  #room(queue: string, host: string, perHost: number): number {
    if ((this.#hosts.get(`${queue}/${host}`) ?? 0) > this.#now) return 0
    const { maxActive } = this.#optionsOf(queue).politeness
    const leased = this.#inState(queue, 'leased').filter((item) => item.group === host).length
    return maxActive === null ? perHost : Math.max(0, Math.min(perHost, maxActive - leased))
  }

  #startDelay(queue: string, host: string, items: number): void {
    this.#hosts.set(`${queue}/${host}`, this.#now + this.#optionsOf(queue).politeness.delaySeconds * items)
  }

  #give(queue: string, item: Item, leaseSeconds: number | null): ModelDelivery {
    this.#deliveries += 1
    item.attempts += 1
    item.delivery = this.#deliveries
    if (leaseSeconds === null) this.#finish(queue, item)
    else Object.assign(item, { state: 'leased', due: this.#now + leaseSeconds })
    return { queue, id: item.id, number: this.#deliveries, attempt: item.attempts }
  }

  #finish(queue: string, item: Item): void {
    if (this.#optionsOf(queue).keepDoneSeconds === 0) this.#items(queue).delete(item.id)
    else Object.assign(item, { state: 'done', due: this.#now })
  }

  #held({ queue, id, number }: ModelDelivery): Item | undefined {
    const item = this.#items(queue).get(id)
    const isHeld = item?.state === 'leased' && item.delivery === number && item.due > this.#now
    return isHeld ? item : undefined
  }

  #isDead(queue: string, item: Item): boolean {
    const { retryLimit } = this.#optionsOf(queue)
    return retryLimit !== null && item.attempts > retryLimit
  }

  #retryDelay(queue: string, item: Item): number {
    const { retryDelaySeconds, retryBackoff } = this.#optionsOf(queue)
    return retryBackoff ? Math.min(86_400, retryDelaySeconds * 2 ** (item.attempts - 1)) : retryDelaySeconds
  }

  #bury(queue: string, dead: Item[]): void {
    const { deadLetter } = this.#optionsOf(queue)
    for (const item of dead) {
      if (deadLetter === null || this.#items(deadLetter).has(item.id)) {
        Object.assign(item, { state: 'failed', due: this.#now })
        continue
      }
      this.#items(queue).delete(item.id)
      this.#add(deadLetter, { ...item, due: this.#now, source: queue })
    }
  }

  #remove(queue: string): void {
    const { keepDoneSeconds } = this.#optionsOf(queue)
    for (const item of this.#items(queue).values()) {
      const isTooOld = item.state === 'waiting' && item.expires <= this.#now
      const isDoneLong = item.state === 'done' && item.due + keepDoneSeconds <= this.#now
      if (isTooOld || isDoneLong) this.#items(queue).delete(item.id)
    }
  }

  /** The dead letters of `source` that can go back to it, oldest first. */
  #letters(queue: string, source: string): Item[] {
    return [...this.#waiting(queue), ...this.#inState(queue, 'failed')]
      .filter((item) => item.source === source && !this.#items(source).has(item.id))
      .sort((a, b) => a.place - b.place)
  }
}

function byPlace(a: Item, b: Item): number {
  return b.priority - a.priority || a.place - b.place
}
