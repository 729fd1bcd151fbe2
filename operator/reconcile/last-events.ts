import type { KubeObject } from '../api/object.ts'
import { ApiError } from '../kube/api-error.ts'
import type { KubeClient } from '../kube/client.ts'
import { EVENTS } from '../kube/resources.ts'
import type { LiveEvent } from '../plan/live-objects.ts'

type Client = Pick<KubeClient, 'list'>

/** An event as the API server gives it; who reports it writes the one time or the other. */
type Event = KubeObject & {
  reason?: string
  note?: string
  type?: string
  eventTime?: string | null
  deprecatedLastTimestamp?: string | null
  series?: { lastObservedTime?: string }
}

/** Equal ones are one event with a count, so that these are many. */
const MOST_EVENTS = 100
/** An instance may be looked at several times in a row. */
const FRESH_MS = 8_000
/** What nobody has asked for lately is not waited for any more. */
const FORGET_MS = 300_000
/** The API server has no index of events: each answer is a walk through all those of a namespace. */
const MOST_PER_SECOND = 10

/** What was said last of objects that wait and do not say why, by their uid. */
export class LastEvents {
  readonly #known = new Map<string, { event: LiveEvent | undefined; atMs: number }>()
  #second = 0
  #asked = 0

  /** Asks anew for what is not fresh; where many things wait at once, what was known has to do for some of them. */
  async read(
    client: Client,
    objects: readonly KubeObject[],
    { now, signal }: { now: Date; signal: AbortSignal },
  ): Promise<ReadonlyMap<string, LiveEvent>> {
    const due = objects.filter((object) => this.#isDue(object, now))
    const found = await Promise.all(due.map((object) => lastEvent(client, object, signal)))
    for (const [index, object] of due.entries()) {
      this.#known.set(uidOf(object), { event: found[index], atMs: now.getTime() })
    }
    this.#forgetOld(now)
    const events = objects.map((object) => [uidOf(object), this.#known.get(uidOf(object))?.event] as const)
    return new Map(events.flatMap(([uid, event]) => (event === undefined ? [] : [[uid, event]])))
  }

  #isDue(object: KubeObject, now: Date): boolean {
    const known = this.#known.get(uidOf(object))
    if (known !== undefined && now.getTime() - known.atMs < FRESH_MS) return false
    const second = Math.floor(now.getTime() / 1_000)
    if (second !== this.#second) this.#asked = 0
    this.#second = second
    this.#asked += 1
    return this.#asked <= MOST_PER_SECOND
  }

  #forgetOld(now: Date): void {
    for (const [uid, { atMs }] of this.#known) if (now.getTime() - atMs > FORGET_MS) this.#known.delete(uid)
  }
}

function uidOf({ metadata }: KubeObject): string {
  return metadata.uid ?? ''
}

async function lastEvent(client: Client, object: KubeObject, signal: AbortSignal): Promise<LiveEvent | undefined> {
  const { namespace } = object.metadata
  const options = { namespace, fieldSelector: `regarding.uid=${uidOf(object)}`, limit: MOST_EVENTS, signal }
  const { items } = await client.list<Event>(EVENTS, options).catch(unread)
  const [newest] = items.toSorted((one, other) => timeOf(other) - timeOf(one))
  if (newest === undefined) return undefined
  const { reason = '', note: message = '', type } = newest
  return { reason, message, isWarning: type === 'Warning' }
}

/** Events explain, and decide nothing: without them everything goes on. */
function unread(error: unknown): { items: Event[] } {
  if (error instanceof ApiError && error.code >= 400) return { items: [] }
  throw error
}

function timeOf({ series, deprecatedLastTimestamp, eventTime, metadata }: Event): number {
  const time = series?.lastObservedTime ?? deprecatedLastTimestamp ?? eventTime ?? metadata.creationTimestamp
  return Date.parse(time ?? '') || 0
}
