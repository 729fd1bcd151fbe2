import type { StorageInstance } from '../api/storage-instance.ts'
import { ApiError } from '../kube/api-error.ts'
import { keyOf } from '../kube/object.ts'
import type { Action } from '../plan/action.ts'
import type { Observed, RunRequest } from '../plan/observed.ts'
import { begins, isRollout, type Plan, plan, stepsOf } from '../plan/plan.ts'
import { planStrayRequests, type RequestPlan } from '../plan/requests.ts'
import type { ReconcileResult } from '../runtime/workers.ts'
import { ApiServerPorts } from './api-server-ports.ts'
import { applyAll, isFailure, learnAdmissions, nameOf } from './apply.ts'
import { ChildMemory } from './child-memory.ts'
import { ClusterIdentity } from './cluster-identity.ts'
import { LastEvents } from './last-events.ts'
import { observe, type Readings, readRequests } from './observe.ts'
import type { ReconcilerParts } from './parts.ts'
import { retainClaims } from './retain.ts'
import { Rollouts } from './rollouts.ts'
import { SchemaReadings } from './schema-readings.ts'
import { SecretReadings } from './secret-readings.ts'
import { blindStatusOf, requestStatusOf, statusOf } from './status.ts'
import { StatusWriter } from './status-writer.ts'

/** While the API server refuses something, or an object stands in the way. */
const REFUSED_LOOK_MS = 60_000
const OUTDATED_LOOK_MS = 1_000

/** Brings one StorageInstance to where its spec wants it: observe, plan, apply, status. */
export class Reconciler {
  readonly #parts: ReconcilerParts
  readonly #readings: Readings
  readonly #instances: StatusWriter<StorageInstance>
  readonly #requests: StatusWriter<RunRequest>
  readonly #memory = new ChildMemory()
  readonly #rollouts: Rollouts

  constructor(parts: ReconcilerParts) {
    this.#parts = parts
    this.#instances = new StatusWriter(parts)
    this.#requests = new StatusWriter(parts)
    const { caches, config, again } = parts
    const fleet = () => caches.StorageInstance.list() as StorageInstance[]
    this.#rollouts = new Rollouts({ limit: config.maxConcurrentRollouts, fleet, again })
    this.#readings = {
      schemas: new SchemaReadings({ onReading: parts.again, fetchHealth: parts.fetchHealth }),
      secrets: new SecretReadings(),
      cluster: new ClusterIdentity(),
      ports: new ApiServerPorts(),
      events: new LastEvents(),
    }
  }

  /** Level-triggered and idempotent; rejects where a step failed and is to be tried again. */
  async reconcile(key: string, signal: AbortSignal): Promise<ReconcileResult> {
    const cached = this.#parts.caches.StorageInstance.get(key) as StorageInstance | undefined
    const [instance] = this.#instances.newest(key, cached === undefined ? [] : [cached])
    try {
      if (instance === undefined) return await this.#leave(key, signal)
      const { observed, planned } = this.#inTurn(await this.#observe(instance, signal))
      return await this.#carryOut(observed, planned, signal)
    } catch (error) {
      // The caches were behind, and what they lack is on its way.
      if (error instanceof ApiError && error.isConflict) return { requeueAfterMs: OUTDATED_LOOK_MS }
      throw error
    }
  }

  /** What nobody asked for, such as what a new release changes, waits until other instances are done with theirs. */
  #inTurn(observed: Observed): { observed: Observed; planned: Plan } {
    const { instance } = observed
    const planned = plan(observed)
    if (!isRollout(observed, planned)) {
      this.#rollouts.leave(keyOf(instance))
      return { observed, planned }
    }
    const world: Observed = { ...observed, rollout: this.#rollouts.mayChange(instance) ? 'taken' : 'held' }
    return { observed: world, planned: plan(world) }
  }

  /** What there is to say of an instance that is not there (any more). */
  async #leave(key: string, signal: AbortSignal): Promise<ReconcileResult> {
    this.#forgetReadings()
    this.#rollouts.forget(key)
    await retainClaims(this.#parts, key, signal)
    const requests = this.#requests.newest(key, readRequests(this.#parts.caches, key))
    await this.#report(key, planStrayRequests(requests), signal)
    return {}
  }

  /** An API server that lets nothing be read is told of, too: the log is not where people look. */
  async #observe(instance: StorageInstance, signal: AbortSignal): Promise<Observed> {
    try {
      const observed = await observe({ ...this.#parts, readings: this.#readings }, instance, signal)
      const requests = this.#requests.newest(keyOf(instance), observed.requests)
      return { ...observed, requests, ...this.#memory.of(instance) }
    } catch (error) {
      if (error instanceof ApiError && error.code >= 400) {
        const trouble = { message: error.message, isTransient: isFailure(error) }
        const status = blindStatusOf({ instance, now: this.#parts.clock.now() }, trouble)
        await this.#instances.writeIfNew(keyOf(instance), instance, { status, signal })
      }
      throw error
    }
  }

  /**
   * A run is written down before anything of it is made: after a crash in between, the run is found without its Job, and the
   * Job is made then; a second run could only be started from a status that is older, and that the API server refuses.
   */
  async #carryOut(observed: Observed, planned: Plan, signal: AbortSignal, isWritten = false): Promise<ReconcileResult> {
    // The status that a Job is made from may be an old one, whose run is over by now.
    if (begins(observed, planned) || (makesJob(planned) && !isWritten)) {
      const status = statusOf(observed, planned)
      const instance = await this.#instances.write(keyOf(observed.instance), observed.instance, { status, signal })
      const next = { ...observed, instance }
      return this.#carryOut(next, plan(next), signal, true)
    }
    const steps = stepsOf(planned)
    const actions = steps.flatMap((step) => step.actions ?? [])
    const { client, log } = this.#parts
    const memory = this.#memory
    if (await learnAdmissions({ client, observed, signal, memory }, actions)) {
      const next = { ...observed, ...memory.of(observed.instance) }
      return this.#carryOut(next, plan(next), signal, isWritten)
    }
    const instance = keyOf(observed.instance)
    const onDone = (action: Action) => log.info({ instance, action: action.do, ...nameOf(action) }, 'carried out')
    const { refusals, failure } = await applyAll({ client, observed, signal, onDone, memory }, actions)
    const status = statusOf(observed, planned, refusals)
    await this.#instances.writeIfNew(instance, observed.instance, { status, signal })
    await this.#report(instance, planned.requests, signal)
    if (failure !== undefined) throw failure
    const waits = steps.flatMap((step) => step.requeueAfterMs ?? [])
    if (refusals.length > 0) waits.push(REFUSED_LOOK_MS)
    return waits.length === 0 ? {} : { requeueAfterMs: Math.min(...waits) }
  }

  async #report(key: string, requests: readonly RequestPlan[], signal: AbortSignal): Promise<void> {
    for (const one of requests) {
      const status = requestStatusOf(one, this.#parts.clock.now())
      await this.#requests.writeIfNew(key, one.request, { status, signal })
    }
  }

  #forgetReadings(): void {
    const uids = new Set(this.#parts.caches.StorageInstance.list().map(({ metadata }) => metadata.uid ?? ''))
    this.#readings.schemas.keepOnly(uids)
    this.#memory.keepOnly(uids)
  }
}

function makesJob(planned: Plan): boolean {
  return stepsOf(planned).some(({ actions = [] }) => actions.some((action) => action.do === 'create'))
}
