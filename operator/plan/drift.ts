import type { Observed, SchemaReading } from '../observed.ts'
import { parseDurationMs } from '../runtime/durations.ts'
import type { Step } from './step.ts'

const DEFAULT_INTERVAL_MS = 600_000
// While nobody has answered yet.
const RETRY_MS = 10_000

// Longer than the service is waited for: the answer itself is a reason to look.
const LEAST_LOOK_MS = 5_000

/** When the service is to be asked again for its schema, in milliseconds since the epoch. */
export function nextReadingAt({ instance }: Pick<Observed, 'instance'>, { at, drift }: SchemaReading): number {
  const intervalMs = parseDurationMs(instance.spec.migrations.driftCheckInterval) ?? DEFAULT_INTERVAL_MS
  return at.getTime() + (drift === 'unknown' ? RETRY_MS : intervalMs)
}

/** What the service last said about its schema. Never keeps an instance from being ready. */
export function checkDrift(observed: Observed): Step {
  const { schemaReading: reading, instance, now } = observed
  if (instance.spec.migrations.onDrift === 'Ignore') return { state: 'done' }
  if (reading === undefined) return { state: 'done' }
  const requeueAfterMs = Math.max(LEAST_LOOK_MS, nextReadingAt(observed, reading) - now.getTime())
  const { message } = reading
  const finding =
    reading.drift === 'none'
      ? ({ status: 'True', reason: 'SchemaDriftFree' } as const)
      : reading.drift === 'found'
        ? ({ status: 'False', reason: 'SchemaDrifted' } as const)
        : ({ status: 'Unknown', reason: 'DriftUnknown' } as const)
  return { state: 'done', requeueAfterMs, findings: [{ type: 'SchemaDriftFree', ...finding, message }] }
}
