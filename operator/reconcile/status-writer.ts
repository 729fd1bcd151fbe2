import { isDeepStrictEqual } from 'node:util'
import type { Conditional } from '../api/conditions.ts'
import type { KubeObject } from '../api/object.ts'
import { eventsOf } from './condition-events.ts'
import { OwnWrites } from './own-writes.ts'
import type { ReconcilerParts } from './parts.ts'

type Write<T extends Conditional> = { status: NonNullable<T['status']>; signal: AbortSignal }

/** Writes the statuses of one kind of custom resources, whole, and tells in events what has changed in their conditions. */
export class StatusWriter<T extends Conditional> {
  readonly #parts: Pick<ReconcilerParts, 'client' | 'events' | 'log'>
  readonly #ownWrites = new OwnWrites<T>()

  constructor(parts: Pick<ReconcilerParts, 'client' | 'events' | 'log'>) {
    this.#parts = parts
  }

  /** What the caches have for the key of a reconcile, or what was written since. */
  newest(key: string, cached: readonly T[]): T[] {
    return this.#ownWrites.newest(key, cached)
  }

  /** Writes nothing where the status is the one that is there. */
  async writeIfNew(key: string, object: T, write: Write<T>): Promise<void> {
    if (!isDeepStrictEqual(write.status, object.status)) await this.write(key, object, write)
  }

  /** The resourceVersion makes a status from an outdated world fail; what it says would be wrong. Answers the new object. */
  async write(key: string, object: T, { status, signal }: Write<T>): Promise<T> {
    const { client, events, log } = this.#parts
    const { apiVersion, kind } = object
    const { name, namespace, resourceVersion } = object.metadata
    const wanted = { apiVersion, kind, metadata: { name, namespace, resourceVersion }, status }
    const written = (await client.applyStatus(wanted as KubeObject, { signal })) as T
    this.#ownWrites.note(key, object, written)
    for (const event of eventsOf(object, status)) {
      events.record({ regarding: object, ...event, action: 'Reconcile' })
      log.info({ instance: key, kind, name, reason: event.reason }, event.message)
    }
    return written
  }
}
