import { parseDurationMs } from '../../runtime/durations.ts'
import type { Observed, SchemaReading } from '../observed.ts'
import type { Finding, Step } from '../step.ts'

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

/** What differs, as it was last found: it stands until the service says that it is gone, and not only that it does not know. */
export function standingDrift({ schemaReading: reading, instance }: Observed): string | undefined {
  if (reading?.drift === 'found') return reading.message
  const former = instance.status?.conditions?.find(({ type }) => type === 'SchemaDriftFree')
  return reading?.drift !== 'none' && former?.status === 'False' ? former.message : undefined
}

/** What the service last said about its schema. Never keeps an instance from being ready. */
export function checkDrift(observed: Observed): Step {
  const { schemaReading: reading, instance, now } = observed
  if (instance.spec.migrations.onDrift === 'Ignore') return { state: 'done', absent: ['SchemaDriftFree'] }
  if (reading === undefined) return { state: 'done' }
  const requeueAfterMs = Math.max(LEAST_LOOK_MS, nextReadingAt(observed, reading) - now.getTime())
  return { state: 'done', requeueAfterMs, findings: [findingOf(reading, standingDrift(observed))] }
}

function findingOf(reading: SchemaReading, drift: string | undefined): Finding {
  const type = 'SchemaDriftFree'
  if (drift !== undefined) return { type, status: 'False', reason: 'SchemaDrifted', message: drift }
  const { message } = reading
  if (reading.drift === 'none') return { type, status: 'True', reason: 'SchemaDriftFree', message }
  return { type, status: 'Unknown', reason: 'DriftUnknown', message }
}
