import type { KubeObject } from '../api/object.ts'
import { ApiError } from '../kube/api-error.ts'
import type { KubeClient } from '../kube/client.ts'
import { EVENTS } from '../kube/resources.ts'
import type { LiveEvent } from '../plan/live-objects.ts'

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
const MOST = 100

/** What was said last of each of these objects, by their uid. Asked for only where something waits and does not say why. */
export async function readLastEvents(
  client: Pick<KubeClient, 'list'>,
  objects: readonly KubeObject[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, LiveEvent>> {
  const found = await Promise.all(objects.map((object) => lastEvent(client, object, signal)))
  return new Map(found.flatMap((one) => (one === undefined ? [] : [one])))
}

async function lastEvent(
  client: Pick<KubeClient, 'list'>,
  { metadata }: KubeObject,
  signal: AbortSignal,
): Promise<[uid: string, LiveEvent] | undefined> {
  const { namespace, uid = '' } = metadata
  const options = { namespace, fieldSelector: `regarding.uid=${uid}`, limit: MOST, signal }
  const { items } = await client.list<Event>(EVENTS, options).catch(unread)
  const [newest] = items.toSorted((one, other) => timeOf(other) - timeOf(one))
  if (newest === undefined) return undefined
  const { reason = '', note: message = '', type } = newest
  return [uid, { reason, message, isWarning: type === 'Warning' }]
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
