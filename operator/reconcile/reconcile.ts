import { isDeepStrictEqual } from 'node:util'
import type { KubeObject } from '../api/object.ts'
import type { StorageInstance, StorageInstanceStatus } from '../api/storage-instance.ts'
import { ApiError } from '../kube/api-error.ts'
import type { Action } from '../plan/action.ts'
import type { Observed } from '../plan/observed.ts'
import { type Plan, plan, startsRun, stepsOf } from '../plan/plan.ts'
import type { ReconcileResult } from '../runtime/workers.ts'
import { applyAll, isFailure, learnAdmissions, nameOf } from './apply.ts'
import { ChildMemory } from './child-memory.ts'
import { ClusterIdentity } from './cluster-identity.ts'
import { eventsOf } from './condition-events.ts'
import { observe, type Readings } from './observe.ts'
import { OwnWrites } from './own-writes.ts'
import type { ReconcilerParts } from './parts.ts'
import { retainClaims } from './retain.ts'
import { SchemaReadings } from './schema-readings.ts'
import { SecretReadings } from './secret-readings.ts'
import { blindStatusOf, statusOf } from './status.ts'

/** While the API server refuses something, or an object stands in the way. */
const REFUSED_LOOK_MS = 60_000
const OUTDATED_LOOK_MS = 1_000

/** Brings one StorageInstance to where its spec wants it: observe, plan, apply, status. */
export class Reconciler {
  readonly #parts: ReconcilerParts
  readonly #readings: Readings
  readonly #ownWrites = new OwnWrites()
  readonly #memory = new ChildMemory()

  constructor(parts: ReconcilerParts) {
    this.#parts = parts
    this.#readings = {
      schemas: new SchemaReadings({ onReading: parts.again }),
      secrets: new SecretReadings(),
      cluster: new ClusterIdentity(),
    }
  }

  /** Level-triggered and idempotent; rejects where a step failed and is to be tried again. */
  async reconcile(key: string, signal: AbortSignal): Promise<ReconcileResult> {
    const cached = this.#parts.caches.StorageInstance.get(key) as StorageInstance | undefined
    const instance = this.#ownWrites.newest(key, cached)
    if (instance === undefined) {
      this.#forgetReadings()
      await retainClaims(this.#parts, key, signal)
      return {}
    }
    try {
      const observed = await this.#observe(instance, signal)
      return await this.#carryOut(observed, plan(observed), signal)
    } catch (error) {
      // The caches were behind, and what they lack is on its way.
      if (error instanceof ApiError && error.isConflict) return { requeueAfterMs: OUTDATED_LOOK_MS }
      throw error
    }
  }

  /** An API server that lets nothing be read is told of, too: the log is not where people look. */
  async #observe(instance: StorageInstance, signal: AbortSignal): Promise<Observed> {
    try {
      const observed = await observe({ ...this.#parts, readings: this.#readings }, instance, signal)
      return { ...observed, ...this.#memory.of(instance) }
    } catch (error) {
      if (error instanceof ApiError && error.code >= 400) {
        const trouble = { message: error.message, isTransient: isFailure(error) }
        const status = blindStatusOf({ instance, now: this.#parts.clock.now() }, trouble)
        await this.#writeIfNew({ instance }, status, signal)
      }
      throw error
    }
  }

  /**
   * A run is written down before anything of it is made: after a crash in between, the run is found without its Job, and the
   * Job is made then; a second run could only be started from a status that is older, and that the API server refuses.
   */
  async #carryOut(observed: Observed, planned: Plan, signal: AbortSignal): Promise<ReconcileResult> {
    if (startsRun(observed, planned)) {
      const written = await this.#writeStatus(observed, statusOf(observed, planned), signal)
      const next = { ...observed, instance: written }
      return this.#carryOut(next, plan(next), signal)
    }
    const steps = stepsOf(planned)
    const actions = steps.flatMap((step) => step.actions ?? [])
    const { client, log } = this.#parts
    const memory = this.#memory
    if (await learnAdmissions({ client, observed, signal, memory }, actions)) {
      const next = { ...observed, ...memory.of(observed.instance) }
      return this.#carryOut(next, plan(next), signal)
    }
    const instance = keyOf(observed.instance)
    const onDone = (action: Action) => log.info({ instance, action: action.do, ...nameOf(action) }, 'carried out')
    const { refusals, failure } = await applyAll({ client, observed, signal, onDone, memory }, actions)
    const status = statusOf(observed, planned, refusals)
    await this.#writeIfNew(observed, status, signal)
    if (failure !== undefined) throw failure
    const waits = steps.flatMap((step) => step.requeueAfterMs ?? [])
    if (refusals.length > 0) waits.push(REFUSED_LOOK_MS)
    return waits.length === 0 ? {} : { requeueAfterMs: Math.min(...waits) }
  }

  async #writeIfNew(
    world: Pick<Observed, 'instance'>,
    status: StorageInstanceStatus,
    signal: AbortSignal,
  ): Promise<void> {
    if (!isDeepStrictEqual(status, owned(world.instance.status))) await this.#writeStatus(world, status, signal)
  }

  /** The resourceVersion makes a status from an outdated world fail; what it says would be wrong. */
  async #writeStatus(
    { instance }: Pick<Observed, 'instance'>,
    status: StorageInstanceStatus,
    signal: AbortSignal,
  ): Promise<StorageInstance> {
    const { apiVersion, kind } = instance
    const { name, namespace, resourceVersion } = instance.metadata
    const object = { apiVersion, kind, metadata: { name, namespace, resourceVersion }, status }
    const written = (await this.#parts.client.applyStatus(object as KubeObject, { signal })) as StorageInstance
    this.#ownWrites.note(keyOf(instance), instance, written)
    for (const event of eventsOf(instance, status)) {
      this.#parts.events.record({ regarding: instance, ...event, action: 'Reconcile' })
      this.#parts.log.info({ instance: keyOf(instance), reason: event.reason }, event.message)
    }
    return written
  }

  #forgetReadings(): void {
    const uids = new Set(this.#parts.caches.StorageInstance.list().map(({ metadata }) => metadata.uid ?? ''))
    this.#readings.schemas.keepOnly(uids)
    this.#memory.keepOnly(uids)
  }
}

/** The part of a status that is written here; other writers have theirs. */
function owned(status: StorageInstanceStatus | undefined): Partial<StorageInstanceStatus> {
  const { backup: _backup, maintenance: _maintenance, ...ours } = status ?? {}
  return ours
}

function keyOf({ metadata }: StorageInstance): string {
  return `${metadata.namespace}/${metadata.name}`
}
