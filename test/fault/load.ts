import { setTimeout as delay } from 'node:timers/promises'
import { send } from './client.ts'
import type { Event } from './history.ts'
import { LINK_QUEUE, REMOVING_QUEUE, WORK_QUEUE } from './history.ts'
import { Random } from './random.ts'

/** An item as a pop answers it. */
export type Popped = { id: string; payload: { key: string }; attempt: number; receipt?: string; leaseUntil?: string }

type Outcomes<T> = { items: T[] }
type Settled = { result: 'done' | 'stale' | 'unknown' | 'invalid'; leaseUntil?: string }
type Settle = { operation: 'ack' | 'nack' | 'extend'; receipt: string; leaseSeconds?: number; delaySeconds?: number }
/** A receipt that is shown again when it should be worth nothing. */
type Late = { receipt: string; notBefore: number }

const WEIGHTS = { consume: 6, push: 3, write: 2, remove: 1, late: 1 }
const FATES = { ack: 66, nack: 10, extend: 8, late: 8, abandon: 8 }
const LEASE_SECONDS = 2
const PAUSE_MS = { least: 5, most: 30 }
const RETRY_MS = 150

/** Talks to the service and writes down what it saw. */
export class Recorder {
  readonly events: Event[] = []
  /** Whether the last request was answered. */
  isAnswered = true
  /** How many requests were answered. */
  answers = 0
  readonly #url: string

  constructor(url: string) {
    this.#url = url
  }

  async push(queue: string, items: { id: string; key: string }[]): Promise<boolean> {
    const startedAt = Date.now()
    const body = items.map(({ id, key }) => ({ id, payload: { key } }))
    const answer = await this.#queue<{ result: 'created' | 'duplicate' }>('push', queue, { items: body })
    const endedAt = Date.now()
    for (const [index, { key }] of items.entries()) {
      const outcome = answer ? (answer.items[index]?.result ?? 'unanswered') : 'unanswered'
      this.events.push({ kind: 'push', queue, key, startedAt, endedAt, outcome })
    }
    return answer !== undefined
  }

  async pop(queue: string, request: { count: number; leaseSeconds?: number; waitSeconds?: number }): Promise<Popped[]> {
    const startedAt = Date.now()
    const answer = await this.#queue<Popped>('pop', queue, request)
    const endedAt = Date.now()
    for (const { payload, attempt, receipt, leaseUntil } of answer?.items ?? []) {
      const lease = receipt && leaseUntil ? { receipt, leaseUntil: Date.parse(leaseUntil) } : {}
      this.events.push({ kind: 'delivery', queue, key: payload.key, attempt, startedAt, endedAt, ...lease })
    }
    return answer?.items ?? []
  }

  async settle(queue: string, { operation, receipt, ...change }: Settle): Promise<boolean> {
    const startedAt = Date.now()
    const answer = await this.#queue<Settled>(operation, queue, { items: [{ receipt, ...change }] })
    const settled = answer?.items[0]
    const lease = settled?.leaseUntil ? { leaseUntil: Date.parse(settled.leaseUntil) } : {}
    const outcome = settled?.result ?? 'unanswered'
    this.events.push({ kind: 'settling', operation, receipt, startedAt, endedAt: Date.now(), outcome, ...lease })
    return outcome === 'done'
  }

  async write(url: string, version: number, links: string[]): Promise<boolean> {
    const startedAt = Date.now()
    const items = links.map((key) => ({ id: key, payload: { key, url: key } }))
    const answer = await this.#send<{ stored: number }>('/api/documents', {
      documents: [{ url, metadata: { version } }],
      ...(items.length > 0 && { enqueue: [{ queue: LINK_QUEUE, unlessStored: true, items }] }),
    })
    const outcome = answer?.stored === 1 ? 'stored' : 'unanswered'
    this.events.push({ kind: 'document', url, version, links, startedAt, endedAt: Date.now(), outcome })
    return outcome === 'stored'
  }

  #queue<T>(operation: string, queue: string, body: object): Promise<Outcomes<T> | undefined> {
    return this.#send('/api/queue', { operation, queue, ...body })
  }

  async #send<T>(path: string, body: object): Promise<T | undefined> {
    const answer = await send<T>('POST', this.#url + path, body)
    this.isAnswered = answer !== undefined
    this.answers += Number(this.isAnswered)
    return answer
  }
}

/** One client that does one thing after the other until it is told to stop. */
class Worker {
  readonly #name: string
  readonly #random: Random
  readonly #recorder: Recorder
  readonly #versions = new Map<string, number>()
  #late: Late[] = []
  #count = 0

  constructor(name: string, random: Random, recorder: Recorder) {
    this.#name = name
    this.#random = random
    this.#recorder = recorder
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#act()
      await delay(this.#recorder.isAnswered ? this.#random.between(PAUSE_MS.least, PAUSE_MS.most) : RETRY_MS)
    }
  }

  #act(): Promise<unknown> {
    switch (this.#random.weighted(WEIGHTS)) {
      case 'push':
        return this.#recorder.push(this.#random.chance(0.8) ? WORK_QUEUE : REMOVING_QUEUE, this.#newItems())
      case 'write':
        return this.#write()
      case 'remove':
        return this.#recorder.pop(REMOVING_QUEUE, { count: this.#random.between(1, 10) })
      case 'late':
        return this.#settleLate()
      default:
        return this.#consume()
    }
  }

  #newItems(): { id: string; key: string }[] {
    return Array.from({ length: this.#random.between(1, 4) }, () => {
      const id = `${this.#name}-${this.#count++}`
      return { id, key: id }
    })
  }

  async #consume(): Promise<void> {
    const waitSeconds = this.#random.chance(0.2) ? 1 : 0
    const count = this.#random.between(1, 8)
    const items = await this.#recorder.pop(WORK_QUEUE, { count, leaseSeconds: LEASE_SECONDS, waitSeconds })
    await Promise.all(items.map((item) => this.#decide(item)))
  }

  async #decide({ id, payload, receipt = '', leaseUntil = '' }: Popped): Promise<void> {
    const fate = this.#random.weighted(FATES)
    if (fate === 'late')
      this.#late.push({ receipt, notBefore: Date.parse(leaseUntil) + this.#random.between(2, 4_000) })
    if (fate === 'late' || fate === 'abandon') return
    if (fate === 'nack') {
      await this.#recorder.settle(WORK_QUEUE, { operation: 'nack', receipt, delaySeconds: this.#random.next() })
      return
    }
    if (fate === 'extend') {
      await this.#recorder.settle(WORK_QUEUE, { operation: 'extend', receipt, leaseSeconds: LEASE_SECONDS * 2 })
    }
    const isAcked = await this.#recorder.settle(WORK_QUEUE, { operation: 'ack', receipt })
    if (isAcked && this.#random.chance(0.1)) await this.#pushAgain(id, payload.key, receipt)
  }

  /** A new life of the same id: the receipt of the former one must not settle it. */
  async #pushAgain(id: string, key: string, receipt: string): Promise<void> {
    const life = Number(key.split('@')[1] ?? 1) + 1
    await this.#recorder.push(WORK_QUEUE, [{ id, key: `${id}@${life}` }])
    this.#late.push({ receipt, notBefore: 0 })
  }

  async #settleLate(): Promise<void> {
    const due = this.#late.find(({ notBefore }) => notBefore < Date.now())
    if (!due) return
    this.#late = this.#late.filter((late) => late !== due)
    const operation = this.#random.pick(['ack', 'nack', 'extend'] as const)
    const change = operation === 'extend' ? { leaseSeconds: LEASE_SECONDS } : {}
    await this.#recorder.settle(WORK_QUEUE, { operation, receipt: due.receipt, ...change })
  }

  /** A new document, or a new version of one of ours; one that is not acknowledged is often sent again, as a client would. */
  async #write(): Promise<void> {
    const known = [...this.#versions.keys()]
    const isNew = known.length === 0 || this.#random.chance(0.7)
    const url = isNew ? `https://${this.#name}.example/${this.#count++}` : this.#random.pick(known)
    const version = (this.#versions.get(url) ?? 0) + 1
    this.#versions.set(url, version)
    const links = Array.from({ length: this.#random.between(0, 5) }, (_, index) => `${url}#${version}-${index}`)
    const isStored = await this.#recorder.write(url, version, links)
    if (!isStored && this.#random.chance(0.7)) await this.#recorder.write(url, version, links)
  }
}

/** Several clients at once, the same for the same seed. Answers when all have stopped. */
export async function runLoad(
  recorder: Recorder,
  options: { seed: number; workers: number; signal: AbortSignal },
): Promise<void> {
  const workers = Array.from({ length: options.workers }, (_, index) => {
    return new Worker(`worker${index}`, new Random(options.seed + index), recorder)
  })
  await Promise.all(workers.map((worker) => worker.run(options.signal)))
}
