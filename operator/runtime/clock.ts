/** Time as the operator sees it; injected, so that tests decide how fast it goes. */
export type Clock = {
  /** The time of day, for what is written down. Never compare two of them to measure: it can be set back. */
  now(): Date
  /** Milliseconds since some fixed instant. Never goes back and goes on while the process is stopped (SIGSTOP). */
  monotonicMs(): number
  /** Calls `fn` once, `ms` from now (any length; 0 and less: as soon as the caller has returned). Answers how to cancel it. */
  after(ms: number, fn: () => void): Cancel
}

export type Cancel = () => void

/** Resolves `ms` from now, or as soon as the signal aborts; never rejects. */
export function pause(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve()
    const finish = () => {
      cancel()
      signal?.removeEventListener('abort', finish)
      resolve()
    }
    const cancel = clock.after(ms, finish)
    signal?.addEventListener('abort', finish)
  })
}
