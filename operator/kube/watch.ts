import type { KubeObject } from '../api/object.ts'
import { pathOf, type Resource } from './resources.ts'
import type { Transport } from './transport.ts'

export type WatchOptions = {
  /** None: all namespaces. */
  namespace?: string
  labelSelector?: string
  /** What is told begins right after this version. */
  resourceVersion: string
  /** The API server ends the watch after this time. */
  timeoutSeconds: number
  metadataOnly?: boolean
  signal?: AbortSignal
  /** Called for each piece that arrives, bookmarks included. */
  onBytes?: () => void
}

/** One line of a watch. A bookmark carries nothing but how far the watch has come. An error is a `Status`. */
export type WatchEvent<T> =
  | { type: 'ADDED' | 'MODIFIED' | 'DELETED'; object: T }
  | { type: 'BOOKMARK'; object: T }
  | { type: 'ERROR'; object: { code?: number; reason?: string; message?: string } }

/** An open watch: its events end when the API server ends it, and reject when it breaks. */
export type Watch<T> = { events: AsyncIterable<WatchEvent<T>>; close: () => void }

/** Opens a watch; rejects with an ApiError where it is refused. */
export async function openWatch<T extends KubeObject>(
  transport: Transport,
  resource: Resource,
  options: WatchOptions,
): Promise<Watch<T>> {
  throw new Error(`not yet ${pathOf} ${transport} ${resource} ${options}`)
}
