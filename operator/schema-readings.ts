import { endpointOf } from './desired/api-service.ts'
import { parseHealth } from './health-report.ts'
import type { Observed, SchemaReading } from './observed.ts'
import { liveDeployment } from './plan/api.ts'
import { driftIntervalMs } from './plan/drift.ts'

const TIMEOUT_MS = 3_000
const RETRY_MS = 10_000

/** Asks `GET /health` of a service; answers its body, whatever the status. Rejects where nobody answers. */
export type FetchHealth = (url: string, signal: AbortSignal) => Promise<unknown>

/** What the services last said of their schemas. Kept in memory: after a start everybody is asked once. */
export class SchemaReadings {
  readonly #fetchHealth: FetchHealth
  readonly #readings = new Map<string, { reading: SchemaReading; run: string | undefined }>()

  constructor(fetchHealth: FetchHealth = fetchJson) {
    this.#fetchHealth = fetchHealth
  }

  /** The newest reading; asks when it is due, after a migration, and not while nobody can answer. */
  async read(observed: Observed, signal: AbortSignal): Promise<SchemaReading | undefined> {
    const { instance, now } = observed
    const uid = instance.metadata.uid ?? ''
    const run = instance.status?.runs?.migrate?.finishedAt
    const last = this.#readings.get(uid)
    const serving = liveDeployment(observed)?.status?.readyReplicas ?? 0
    if (serving === 0 || instance.spec.paused) return last?.reading
    const intervalMs = last?.reading.drift === 'unknown' ? RETRY_MS : driftIntervalMs(observed)
    const isFresh = last !== undefined && last.run === run && now.getTime() - last.reading.at.getTime() < intervalMs
    if (isFresh) return last.reading
    const reading = await this.#ask(observed, signal)
    this.#readings.set(uid, { reading, run })
    return reading
  }

  /** Forgets instances that are gone. */
  keepOnly(uids: ReadonlySet<string>): void {
    for (const uid of this.#readings.keys()) if (!uids.has(uid)) this.#readings.delete(uid)
  }

  async #ask({ instance, now }: Observed, signal: AbortSignal): Promise<SchemaReading> {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)])
    try {
      return { at: now, ...parseHealth(await this.#fetchHealth(`${endpointOf(instance)}/health`, limit)) }
    } catch {
      return { at: now, drift: 'unknown', message: 'The service did not answer when it was asked for its schema.' }
    }
  }
}

async function fetchJson(url: string, signal: AbortSignal): Promise<unknown> {
  const answer = await fetch(url, { signal, redirect: 'error' })
  return answer.json()
}
