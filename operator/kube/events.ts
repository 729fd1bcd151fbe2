import { createHash } from 'node:crypto'
import type { KubeObject, ObjectMeta } from '../api/object.ts'
import type { Reason } from '../api/reasons.ts'
import type { BackgroundService } from '../runtime/background-service.ts'
import { type Clock, pause } from '../runtime/clock.ts'
import { hasCode } from './api-error.ts'
import type { KubeClient } from './client.ts'
import { EventBudget } from './event-budget.ts'
import { microTime } from './micro-time.ts'
import { keyOf } from './object.ts'
import { EVENTS } from './resources.ts'

/** An event to be shown by `kubectl describe`. */
export type EventRequest = {
  /** The object it is about, as it was read: with its uid. */
  regarding: KubeObject
  type: 'Normal' | 'Warning'
  reason: Reason
  /** For people; at most 1,024 characters are kept. Never a secret. */
  message: string
  /** What was being done, for instance `Reconcile` or `Migrate`. */
  action: string
}

/** Tells events; equal ones become one with a count. Never throws and never waits: an event that cannot be written is lost. */
export type EventRecorder = { record(event: EventRequest): void }

export type KubeEventsOptions = {
  client: KubeClient
  clock: Clock
  /** The program, as `reportingController`. */
  controller: string
  /** This replica of it. */
  instance: string
  onError?: (error: unknown) => void
  onDropped?: () => void
}

/** One event as it is in the cluster, and how often it happened that is not written yet. */
type Series = {
  name: string
  request: EventRequest
  firstAt: Date
  lastAt: Date
  count: number
  written: number
  dueAtMs: number
}

const LONGEST_MESSAGE = 1_024
/** Repeats are gathered for so long before the count is written. */
const GATHER_MS = 60_000
/** After so long without a repeat, the next one is a new event. */
const FORGET_MS = 6 * 60_000
const MAX_SERIES = 4_096

/**
 * Writes events (events.k8s.io/v1): the first of its kind at once, repeats as a count once a minute at most, and not more
 * than a budget for each object, so that an instance in trouble does not flood the cluster.
 */
export class KubeEvents implements EventRecorder, BackgroundService {
  readonly name = 'events'
  readonly #options: KubeEventsOptions
  readonly #budget: EventBudget
  readonly #series = new Map<string, Series>()
  readonly #abort = new AbortController()
  #wake: () => void = () => {}
  #running: Promise<void> | undefined

  constructor(options: KubeEventsOptions) {
    this.#options = options
    this.#budget = new EventBudget(options.clock)
  }

  record(request: EventRequest): void {
    const key = identityOf(request)
    const known = this.#series.get(key)
    if (known === undefined) {
      this.#begin(key, request)
    } else {
      known.count += 1
      known.lastAt = this.#options.clock.now()
    }
  }

  start(): void {
    this.#running ??= this.#run()
  }

  /** Writes what is new, and the last counts, once. */
  async stop(): Promise<void> {
    this.#abort.abort()
    this.#wake()
    await this.#running
    await this.#flush((series) => series.count > series.written)
  }

  /** Writes what is due now. */
  async runOnce(): Promise<void> {
    const nowMs = this.#options.clock.monotonicMs()
    await this.#flush((series) => series.dueAtMs <= nowMs)
    this.#forgetOld()
  }

  #begin(key: string, request: EventRequest): void {
    const { clock, onDropped } = this.#options
    const { uid = keyOf(request.regarding) } = request.regarding.metadata
    if (this.#series.size >= MAX_SERIES || !this.#budget.take(uid)) {
      onDropped?.()
      return
    }
    const at = clock.now()
    const times = { firstAt: at, lastAt: at, dueAtMs: clock.monotonicMs() }
    this.#series.set(key, {
      name: eventName(request, key, at),
      request: withoutContent(request),
      count: 1,
      written: 0,
      ...times,
    })
    this.#wake()
  }

  async #run(): Promise<void> {
    while (!this.#abort.signal.aborted) {
      await this.runOnce()
      await this.#rest()
    }
  }

  /** Until the next count is due or a new event comes. */
  async #rest(): Promise<void> {
    if ([...this.#series.values()].some((series) => series.written === 0)) return
    const woken = new AbortController()
    this.#wake = () => woken.abort()
    if (this.#abort.signal.aborted) return
    await pause(this.#options.clock, GATHER_MS / 4, woken.signal)
  }

  async #flush(isDue: (series: Series) => boolean): Promise<void> {
    for (const series of [...this.#series.values()].filter(isDue)) {
      try {
        if (series.count > series.written) await this.#write(series)
      } catch (error) {
        this.#options.onError?.(error)
      }
      // Written or lost: either way it is not tried again before the next repeat is due.
      series.written = series.count
      series.dueAtMs = this.#options.clock.monotonicMs() + GATHER_MS
    }
  }

  async #write(series: Series): Promise<void> {
    const { client } = this.#options
    if (series.written === 0) return this.#create(series)
    const { count, lastAt, name } = series
    const namespace = namespaceOf(series.request)
    try {
      await client.patch(
        { resource: EVENTS, namespace, name },
        { series: { count, lastObservedTime: microTime(lastAt) } },
      )
    } catch (error) {
      if (!hasCode(error, 404)) throw error
      // The API server drops events after an hour.
      await this.#create(series)
    }
  }

  /** No other event has its name: one that is there already was written by a request whose answer was lost. */
  async #create(series: Series): Promise<void> {
    try {
      await this.#options.client.create(this.#eventOf(series), { isRepeatable: true })
    } catch (error) {
      if (!hasCode(error, 409)) throw error
    }
  }

  #eventOf({ name, request, firstAt, lastAt, count }: Series): KubeEvent {
    const { controller, instance } = this.#options
    const { apiVersion, kind, metadata } = request.regarding
    const { namespace, name: objectName, uid, resourceVersion } = metadata
    return {
      apiVersion: EVENTS.apiVersion,
      kind: EVENTS.kind,
      metadata: { name, namespace: namespaceOf(request) },
      eventTime: microTime(firstAt),
      reportingController: controller,
      reportingInstance: instance,
      action: request.action,
      reason: request.reason,
      type: request.type,
      note: request.message.slice(0, LONGEST_MESSAGE),
      regarding: { apiVersion, kind, namespace, name: objectName, uid, resourceVersion },
      ...(count > 1 ? { series: { count, lastObservedTime: microTime(lastAt) } } : {}),
    }
  }

  #forgetOld(): void {
    const { clock } = this.#options
    const now = clock.now().getTime()
    for (const [key, series] of this.#series) {
      if (series.count === series.written && now - series.lastAt.getTime() > FORGET_MS) this.#series.delete(key)
    }
  }
}

type KubeEvent = KubeObject & { metadata: ObjectMeta; [field: string]: unknown }

/** Of the object only what an event names: thousands of events are remembered, and would keep as many outdated objects. */
function withoutContent(request: EventRequest): EventRequest {
  const { apiVersion, kind, metadata } = request.regarding
  const { namespace, name, uid, resourceVersion } = metadata
  return { ...request, regarding: { apiVersion, kind, metadata: { namespace, name, uid, resourceVersion } } }
}

function namespaceOf({ regarding }: EventRequest): string {
  return regarding.metadata.namespace ?? 'default'
}

/** Equal in all of this, events are one. */
function identityOf({ regarding, type, reason, message, action }: EventRequest): string {
  return JSON.stringify([regarding.kind, keyOf(regarding), regarding.metadata.uid, type, reason, message, action])
}

function eventName({ regarding }: EventRequest, key: string, at: Date): string {
  const digest = createHash('sha256').update(key).digest('hex').slice(0, 8)
  return `${regarding.metadata.name.slice(0, 200)}.${at.getTime().toString(16)}${digest}`
}
