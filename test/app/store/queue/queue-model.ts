/** What queues promise, as plain data: the reference that the store is compared with. Times are seconds of a virtual clock. */

/** The options of a queue that the model knows. */
export type ModelOptions = { retryLimit: number | null; deadLetter: string | null }

/** What is pushed. */
export type ModelPush = { id: string; priority: number; delaySeconds: number }

/** A delivery: what a receipt stands for. */
export type ModelDelivery = { queue: string; id: string; number: number; attempt: number }

type State = 'waiting' | 'leased' | 'failed'

type Item = {
  id: string
  priority: number
  place: number
  state: State
  /** When it can be given out; of a leased one, when its lease ends. */
  due: number
  attempts: number
  delivery: number
}

// Real time passes between two operations: what is due later by it comes later.
const TICK_SECONDS = 1e-6

/** A set of queues; time moves by `advance`, and by a tick with each operation. */
export class QueueModel {
  readonly #queues = new Map<string, Map<string, Item>>()
  readonly #options: Record<string, ModelOptions>
  #now = 0
  #places = 0
  #deliveries = 0

  constructor(options: Record<string, ModelOptions>) {
    this.#options = options
    for (const name of Object.keys(options)) this.#queues.set(name, new Map())
  }

  advance(seconds: number): void {
    this.#now += seconds
  }

  push(queue: string, items: ModelPush[]): ('created' | 'duplicate')[] {
    this.advance(TICK_SECONDS)
    return items.map((item) => {
      if (this.#items(queue).has(item.id)) return 'duplicate'
      this.#add(queue, item.id, { priority: item.priority, due: this.#now + item.delaySeconds })
      return 'created'
    })
  }

  pop(queue: string, count: number, leaseSeconds: number | null): ModelDelivery[] {
    this.advance(TICK_SECONDS)
    return this.#ready(queue)
      .slice(0, count)
      .map((item) => this.#give(queue, item, leaseSeconds))
  }

  peek(queue: string, count: number): string[] {
    const delayed = [...this.#items(queue).values()]
      .filter((item) => item.state === 'waiting' && item.due > this.#now)
      .sort((a, b) => a.due - b.due || byPlace(a, b))
    return [...this.#ready(queue), ...delayed].slice(0, count).map((item) => item.id)
  }

  ack(delivery: ModelDelivery): 'done' | 'stale' {
    const item = this.#held(delivery)
    if (item) this.#items(delivery.queue).delete(item.id)
    return item ? 'done' : 'stale'
  }

  nack(delivery: ModelDelivery, delaySeconds: number): 'done' | 'stale' {
    this.advance(TICK_SECONDS)
    const item = this.#held(delivery)
    if (!item) return 'stale'
    if (this.#isDead(delivery.queue, item)) this.#bury(delivery.queue, [item])
    else Object.assign(item, { state: 'waiting', due: this.#now + delaySeconds })
    return 'done'
  }

  extend(delivery: ModelDelivery, leaseSeconds: number): 'done' | 'stale' {
    this.advance(TICK_SECONDS)
    const item = this.#held(delivery)
    if (item) item.due = this.#now + leaseSeconds
    return item ? 'done' : 'stale'
  }

  /** What the background does with lapsed leases, queue by queue. */
  sweep(queues: string[]): void {
    this.advance(TICK_SECONDS)
    for (const queue of queues) {
      const lapsed = [...this.#items(queue).values()].filter((item) => item.state === 'leased' && item.due <= this.#now)
      const dead = lapsed.filter((item) => this.#isDead(queue, item)).sort((a, b) => a.place - b.place)
      for (const item of lapsed) Object.assign(item, { state: 'waiting', due: this.#now })
      this.#bury(queue, dead)
    }
  }

  /** Everything there is, in the order of arrival. */
  contents(queue: string): { id: string; state: State }[] {
    const items = [...this.#items(queue).values()].sort((a, b) => a.place - b.place)
    return items.map(({ id, state }) => ({ id, state }))
  }

  #items(queue: string): Map<string, Item> {
    return this.#queues.get(queue) as Map<string, Item>
  }

  #add(queue: string, id: string, { priority, due }: { priority: number; due: number }): void {
    this.#places += 1
    const place = this.#places
    this.#items(queue).set(id, { id, priority, place, state: 'waiting', due, attempts: 0, delivery: 0 })
  }

  #ready(queue: string): Item[] {
    return [...this.#items(queue).values()]
      .filter((item) => item.state === 'waiting' && item.due <= this.#now)
      .sort(byPlace)
  }

  #give(queue: string, item: Item, leaseSeconds: number | null): ModelDelivery {
    this.#deliveries += 1
    item.attempts += 1
    item.delivery = this.#deliveries
    if (leaseSeconds === null) this.#items(queue).delete(item.id)
    else Object.assign(item, { state: 'leased', due: this.#now + leaseSeconds })
    return { queue, id: item.id, number: this.#deliveries, attempt: item.attempts }
  }

  #held({ queue, id, number }: ModelDelivery): Item | undefined {
    const item = this.#items(queue).get(id)
    const isHeld = item?.state === 'leased' && item.delivery === number && item.due > this.#now
    return isHeld ? item : undefined
  }

  #isDead(queue: string, item: Item): boolean {
    const limit = this.#options[queue]?.retryLimit ?? null
    return limit !== null && item.attempts > limit
  }

  #bury(queue: string, dead: Item[]): void {
    const letters = this.#options[queue]?.deadLetter ?? null
    for (const item of dead) {
      if (letters === null || this.#items(letters).has(item.id)) item.state = 'failed'
      else {
        this.#items(queue).delete(item.id)
        this.#add(letters, item.id, { priority: item.priority, due: this.#now })
      }
    }
  }
}

function byPlace(a: Item, b: Item): number {
  return b.priority - a.priority || a.place - b.place
}
