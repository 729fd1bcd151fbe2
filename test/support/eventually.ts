import { setTimeout as delay } from 'node:timers/promises'

const INTERVAL_MS = 20

/**
 * Repeats `check` every `intervalMs` (20 ms) until it neither throws nor answers false, and gives its answer. After
 * `timeoutMs` (30 s) it fails with the last error.
 */
export async function eventually<T>(
  check: () => T | Promise<T>,
  options: { timeoutMs?: number; intervalMs?: number } = {},
): Promise<T> {
  const timeoutMs = options.timeoutMs ?? 30_000
  const deadline = performance.now() + timeoutMs
  for (;;) {
    try {
      const answer = await check()
      if (answer !== false) return answer
      if (performance.now() > deadline) throw new Error(`Still false after ${timeoutMs} ms.`)
    } catch (error) {
      if (performance.now() > deadline) throw error
    }
    await delay(options.intervalMs ?? INTERVAL_MS)
  }
}
