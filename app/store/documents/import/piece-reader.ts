import type { Readable } from 'node:stream'

export type ReadOptions = {
  signal: AbortSignal
  /** Asked at the beginning of each wait. */
  idleMs: () => number
  /** Called with true whenever the stream has nothing to read, and with false when it has again. */
  onWait?: ((isWaiting: boolean) => void) | undefined
}

/**
 * Reads a stream piece by piece, as fast as the pieces are asked for. Ends with the stream or when the signal aborts; throws
 * what broke the stream. An empty piece says that nothing came for `idleMs`. The stream is never destroyed: where it is the
 * body of a request, the answer needs its connection.
 */
export async function* readPieces(source: Readable, options: ReadOptions): AsyncGenerator<Buffer, void, void> {
  const { signal } = options
  // A stream that breaks while nobody waits for it would end the process.
  source.on('error', ignore)
  while (!signal.aborted) {
    const piece: Buffer | null = source.read()
    if (piece !== null) yield piece
    else if (source.readableEnded) return
    else if (source.destroyed) throw source.errored ?? new Error('The stream was closed before its end.')
    else if (await hasNews(source, options)) options.onWait?.(false)
    else yield NOTHING
  }
}

const NOTHING = Buffer.alloc(0)
const NEWS = ['readable', 'end', 'error', 'close'] as const

function ignore(): void {}

/** Waits until there is something to read, an end or an error, or the signal aborts; answers false after `idleMs` without. */
function hasNews(source: Readable, { signal, idleMs, onWait }: ReadOptions): Promise<boolean> {
  onWait?.(true)
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const onNews = () => resolve(true)
  const timer = setTimeout(() => resolve(false), idleMs())
  for (const event of NEWS) source.once(event, onNews)
  signal.addEventListener('abort', onNews)
  return promise.finally(() => {
    clearTimeout(timer)
    for (const event of NEWS) source.off(event, onNews)
    signal.removeEventListener('abort', onNews)
  })
}
