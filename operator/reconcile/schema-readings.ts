import { endpointOf } from '../desired/api/service.ts'
import { keyOf } from '../kube/object.ts'
import { liveDeployment } from '../plan/api/service.ts'
import { nextReadingAt } from '../plan/database/drift.ts'
import { holdOf } from '../plan/hold.ts'
import type { Observed, SchemaReading } from '../plan/observed.ts'
import { parseHealth } from './health-report.ts'

const TIMEOUT_MS = 3_000
const MOST_BYTES = 65_536

/** Asks `GET /health` of a service; answers its body, whatever the status. Rejects where nobody answers. */
export type FetchHealth = (url: string, signal: AbortSignal) => Promise<unknown>

export type SchemaReadingsOptions = {
  /** Told the key of an instance when there is a new reading of its schema. */
  onReading: (key: string) => void
  fetchHealth?: FetchHealth | undefined
}

/**
 * What the services last said of their schemas. They are asked beside the reconciles: a service that does not answer must not
 * hold a worker that others wait for. Kept in memory: after a start everybody is asked once.
 */
export class SchemaReadings {
  readonly #onReading: (key: string) => void
  readonly #fetchHealth: FetchHealth
  readonly #readings = new Map<string, { reading: SchemaReading; run: string | undefined }>()
  /** The uids of those that are being asked. */
  readonly #asked = new Set<string>()

  constructor({ onReading, fetchHealth: fetchIt = fetchHealth }: SchemaReadingsOptions) {
    this.#onReading = onReading
    this.#fetchHealth = fetchIt
  }

  /** The newest reading, at once. Asks for another when it is due, after a migration, and not while nobody can answer. */
  read(observed: Observed): SchemaReading | undefined {
    const { uid = '' } = observed.instance.metadata
    if (!this.#asked.has(uid) && this.#isDue(observed)) void this.#ask(observed, uid)
    return this.#readings.get(uid)?.reading
  }

  /** Forgets instances that are gone. */
  keepOnly(uids: ReadonlySet<string>): void {
    for (const known of [this.#readings, this.#asked]) {
      for (const uid of known.keys()) if (!uids.has(uid)) known.delete(uid)
    }
  }

  #isDue(observed: Observed): boolean {
    const { instance, now } = observed
    const serving = liveDeployment(observed)?.status?.readyReplicas ?? 0
    if (serving === 0 || instance.spec.paused || holdOf(instance).service) return false
    const last = this.#readings.get(instance.metadata.uid ?? '')
    if (last === undefined || last.run !== lastRunOf(observed)) return true
    return now.getTime() >= nextReadingAt(observed, last.reading)
  }

  /** Never rejects. */
  async #ask(observed: Observed, uid: string): Promise<void> {
    this.#asked.add(uid)
    const reading = await this.#answerOf(observed)
    // It may be gone by now.
    if (!this.#asked.delete(uid)) return
    this.#readings.set(uid, { reading, run: lastRunOf(observed) })
    this.#onReading(keyOf(observed.instance))
  }

  async #answerOf({ instance, now }: Observed): Promise<SchemaReading> {
    try {
      const url = `${endpointOf(instance)}/health`
      return { at: now, ...parseHealth(await this.#fetchHealth(url, AbortSignal.timeout(TIMEOUT_MS))) }
    } catch {
      return { at: now, drift: 'unknown', message: 'The service did not answer when it was asked for its schema.' }
    }
  }
}

function lastRunOf({ instance }: Observed): string | undefined {
  return instance.status?.runs?.migrate?.finishedAt
}

/** Asks a service; its pods are not trusted with the memory of the operator, so a body over 64 KiB is given up where it passes that. */
export async function fetchHealth(url: string, signal: AbortSignal): Promise<unknown> {
  const { body } = await fetch(url, { signal, redirect: 'error' })
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of body ?? []) {
    bytes += chunk.byteLength
    // Leaving the loop closes the connection.
    if (bytes > MOST_BYTES) throw new Error(`The answer is longer than ${MOST_BYTES} bytes.`)
    chunks.push(chunk)
  }
  return JSON.parse(Buffer.concat(chunks).toString('utf8'))
}
