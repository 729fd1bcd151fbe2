import type { KubeObject } from '../api/object.ts'
import { ApiError } from './api-error.ts'
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

/** Etcd takes no object over 1.5 MiB; a line far beyond that is no object. */
const LONGEST_LINE = 16 * 1_048_576
const METADATA_TYPE = 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json'

/** Opens a watch; rejects with an ApiError where it is refused. */
export async function openWatch<T extends KubeObject>(
  transport: Transport,
  resource: Resource,
  options: WatchOptions,
): Promise<Watch<T>> {
  const { namespace, labelSelector, resourceVersion, timeoutSeconds, metadataOnly, signal, onBytes } = options
  const { chunks, close } = await transport.open({
    method: 'GET',
    path: pathOf(resource, namespace),
    query: { watch: true, allowWatchBookmarks: true, resourceVersion, timeoutSeconds, labelSelector },
    accept: metadataOnly ? METADATA_TYPE : 'application/json',
    signal,
  })
  return { events: parseEvents<T>(chunks, onBytes), close }
}

/** One event a line. What comes after the last end of line was cut off and is not an event. */
export async function* parseEvents<T>(
  chunks: AsyncIterable<Uint8Array>,
  onBytes?: () => void,
): AsyncGenerator<WatchEvent<T>, void, undefined> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of chunks) {
    onBytes?.()
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) if (line.trim() !== '') yield parseEvent<T>(line)
    if (rest.length > LONGEST_LINE) throw garbled('a line without end')
  }
}

function parseEvent<T>(line: string): WatchEvent<T> {
  try {
    const event: unknown = JSON.parse(line)
    if (isEvent<T>(event)) return event
  } catch {
    // Told below.
  }
  throw garbled(`a line that is no event (${line.length} characters)`)
}

function isEvent<T>(event: unknown): event is WatchEvent<T> {
  const { type, object } = (event ?? {}) as { type?: unknown; object?: { metadata?: unknown } }
  if (typeof type !== 'string' || typeof object !== 'object' || object === null) return false
  return type === 'ERROR' || (typeof object.metadata === 'object' && object.metadata !== null)
}

function garbled(what: string): ApiError {
  return new ApiError(0, 'Garbled', `The watch brought ${what}.`)
}
