import { expect } from 'vitest'

/**
 * Answers as `answer` does, and fails where that took longer than half the second after which a long poll looks by itself;
 * longer than that after `dueMs`, where nothing is to be had before.
 */
export async function atOnce<T>(answer: Promise<T>, dueMs = 0): Promise<T> {
  const startedAt = performance.now()
  const value = await answer
  expect(performance.now() - startedAt).toBeLessThan(dueMs + 500)
  return value
}
