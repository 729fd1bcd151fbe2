import { setTimeout as delay } from 'node:timers/promises'
import { type LatencySummary, summarise } from '../statistics.ts'
import { type AuditLog, totalOf, type Writes, withoutLease } from './audit-log.ts'
import type { Instances } from './instances.ts'
import type { OperatorUnderTest } from './operator-under-test.ts'

const QUIET_MS = 10_000
const QUIET_LIMIT_MS = 600_000

/** The rates of a stretch of time. */
export type Stretch = {
  seconds: number
  writes: Writes
  writesPerMinute: number
  reconciles: number
  reconcilesPerSecond: number
  failedReconciles: number
  reads: number
  cpuSeconds: number
  peakMiB: number
}

/** Waits until the operator has written nothing but its Lease for a while. */
export async function untilQuiet(audit: AuditLog): Promise<void> {
  const deadline = performance.now() + QUIET_LIMIT_MS
  for (;;) {
    const mark = audit.mark()
    await delay(QUIET_MS)
    const writes = withoutLease(audit.since(mark))
    if (totalOf(writes) === 0) return
    if (performance.now() > deadline) throw new Error(`The operator does not come to rest: ${JSON.stringify(writes)}`)
  }
}

/** What the operator does during some work. */
export async function during(
  { audit, operator }: { audit: AuditLog; operator: OperatorUnderTest },
  work: () => Promise<unknown>,
): Promise<Stretch> {
  const [mark, before, cpu] = [audit.mark(), await operator.work(), operator.cpuSeconds]
  const startedAt = performance.now()
  await work()
  const seconds = (performance.now() - startedAt) / 1_000
  const after = await operator.work()
  const writes = audit.since(mark)
  const reconciles = after.reconciles - before.reconciles
  return {
    seconds,
    writes,
    writesPerMinute: (totalOf(withoutLease(writes)) / seconds) * 60,
    reconciles,
    reconcilesPerSecond: reconciles / seconds,
    failedReconciles: after.errors - before.errors,
    reads: after.reads - before.reads,
    cpuSeconds: operator.cpuSeconds - cpu,
    peakMiB: operator.memoryMiB.peak,
  }
}

/** Changes ten instances at once, round after round, each when the former one has rolled out. */
export async function changeRounds(instances: Instances, rounds: number): Promise<LatencySummary> {
  const latencies: number[] = []
  for (let round = 0; round < rounds; round += 1) {
    latencies.push(...(await instances.changeTen(round)))
    // The pods of one round are not to be in the way of the next one.
    await instances.untilReady(() => {})
  }
  return summarise(latencies)
}
