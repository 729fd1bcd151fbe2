import type { Observed } from '../observed.ts'
import { parseDurationMs } from '../runtime/durations.ts'
import type { Step } from './step.ts'

const DEFAULT_INTERVAL_MS = 600_000
// While nobody has answered yet.
const RETRY_MS = 10_000

/** How often the service is asked for its schema. */
export function driftIntervalMs({ instance }: Pick<Observed, 'instance'>): number {
  return parseDurationMs(instance.spec.migrations.driftCheckInterval) ?? DEFAULT_INTERVAL_MS
}

/** What the service last said about its schema. Never keeps an instance from being ready. */
export function checkDrift(observed: Observed): Step {
  const { schemaReading: reading, instance, now } = observed
  if (instance.spec.migrations.onDrift === 'Ignore') return { state: 'done' }
  if (reading === undefined) return { state: 'done' }
  const intervalMs = reading.drift === 'unknown' ? RETRY_MS : driftIntervalMs(observed)
  const requeueAfterMs = Math.max(1_000, reading.at.getTime() + intervalMs - now.getTime())
  const { message } = reading
  const finding =
    reading.drift === 'none'
      ? ({ status: 'True', reason: 'SchemaDriftFree' } as const)
      : reading.drift === 'found'
        ? ({ status: 'False', reason: 'SchemaDrifted' } as const)
        : ({ status: 'Unknown', reason: 'DriftUnknown' } as const)
  return { state: 'done', requeueAfterMs, findings: [{ type: 'SchemaDriftFree', ...finding, message }] }
}
