import { Value } from 'typebox/value'
import { API_VERSION, LABELS } from '../../../operator/api/labels.ts'
import type { KubeObject } from '../../../operator/api/object.ts'
import { PROVISIONING_VERSION } from '../../../operator/api/provisions.ts'
import { type StorageInstance, StorageInstanceSpec } from '../../../operator/api/storage-instance.ts'
import type { Manifest } from '../../../operator/desired/child.ts'
import type { Action } from '../../../operator/plan/action.ts'
import { isRecord } from '../../../operator/plan/children/differs.ts'
import { isAtomic, placeIn } from '../../../operator/plan/children/merge-rules.ts'
import type { Deployment, Job, LiveEvent, Pod, StatefulSet } from '../../../operator/plan/live-objects.ts'
import type { Observed, RunRequest, SecretState } from '../../../operator/plan/observed.ts'
import { begins, type Plan, plan, stepsOf } from '../../../operator/plan/plan.ts'
import { unexplained } from '../../../operator/plan/unexplained.ts'
import { statusOf } from '../../../operator/reconcile/status.ts'

export const START = new Date('2026-11-23T02:15:00Z')

type Spec = StorageInstance['spec']
export type PartialSpec = { [K in keyof Spec]?: unknown }

/** An instance as the API server gives it, with the defaults of its schema filled in. */
export function instanceOf(spec: PartialSpec = {}, metadata: Partial<KubeObject['metadata']> = {}): StorageInstance {
  return {
    apiVersion: API_VERSION,
    kind: 'StorageInstance',
    metadata: { name: 'crawl', namespace: 'search', uid: 'uid-1', generation: 1, resourceVersion: '1', ...metadata },
    spec: Value.Default(StorageInstanceSpec, structuredClone(spec)) as Spec,
  }
}

/** A StorageBackup or StorageRestore of that instance, as somebody has just applied it. */
export function requestOf(kind: RunRequest['kind'], metadata: Partial<KubeObject['metadata']> = {}): RunRequest {
  const own = { name: `by-hand-${kind.toLowerCase()}`, namespace: 'search', uid: `uid-${kind}`, generation: 1 }
  const spec = { instanceRef: { name: 'crawl' }, method: 'Auto' as const }
  return { apiVersion: API_VERSION, kind, metadata: { ...own, resourceVersion: '1', ...metadata }, spec }
}

/** A cluster that does at once what it is told: enough of one to follow an instance from step to step. */
export class World {
  instance: StorageInstance
  now = START
  children: KubeObject[] = []
  jobs: Job[] = []
  pods: Pod[] = []
  requests: RunRequest[] = []
  external: { service: SecretState; owner: SecretState; direct?: SecretState; replication?: SecretState } | undefined
  release: Observed['release'] = {
    serviceImage: 'sonoma-storage:1',
    postgresImage: 'sonoma-storage-postgres:1',
    operatorNamespace: 'op',
  }
  schemaReading: Observed['schemaReading']
  /** What was said last of an object, by its uid; heard only by those who ask. */
  readonly events = new Map<string, LiveEvent>()
  window: Observed['window']
  rollout: Observed['rollout']
  /** Runs of provisioning succeed in the moment in which they are made, and are in nobody's way, unless a test is about them. */
  isProvisioning = false
  /** Every Job that was ever made, but those of provisioning that succeed at once. */
  readonly made: string[] = []
  /** How often the password of the managed database was changed. */
  secretTurns = 0
  #uid = 100

  constructor(instance = instanceOf()) {
    this.instance = instance
  }

  observed(): Observed {
    const own = this.children.find(({ kind, metadata }) => kind === 'Secret' && metadata.name === 'crawl-db')
    const isKeyed = this.find('Secret', 'crawl-hash-key') !== undefined
    const version = `v-${own?.metadata.uid}-${this.secretTurns}`
    const read: SecretState = isKeyed ? { state: 'usable', version } : { state: 'unread' }
    const managed: SecretState = own ? read : { state: 'missing' }
    const known = { service: managed, owner: managed, direct: undefined, replication: undefined }
    const { service, owner, direct, replication } = { ...known, ...this.external }
    const { now, instance, release, children, jobs, pods, requests, schemaReading } = this
    const others = { ...(direct && { directSecret: direct }), ...(replication && { replicationSecret: replication }) }
    const secrets = { serviceSecret: service, ownerSecret: owner, ...others }
    const { window, rollout } = this
    const state = { ...(window && { window }), ...(rollout && { rollout }) }
    const world = { now, instance, release, children, jobs, pods, requests, schemaReading, ...secrets, ...state }
    const silent = new Set(unexplained(world).map(({ metadata }) => metadata.uid))
    return { ...world, lastEvents: new Map([...this.events].filter(([uid]) => silent.has(uid))) }
  }

  /** Those of `made` that are still there. */
  get madeJobs(): Job[] {
    return this.jobs.filter(({ metadata }) => this.made.includes(metadata.name))
  }

  /** One reconcile as reconcile.ts does it; answers the actions. */
  step(): Action[] {
    const first = plan(this.observed())
    if (begins(this.observed(), first)) this.#record(first)
    const next = plan(this.observed())
    const actions = stepsOf(next).flatMap((step) => step.actions ?? [])
    for (const action of actions) this.#carryOut(action)
    this.#record(next)
    return actions
  }

  /** Writes down what is planned, as before anything is made. */
  record(): void {
    this.#record(plan(this.observed()))
  }

  /** Reconciles, letting `between` happen each time, until nothing is done any more. */
  settle(between: () => void = () => this.flourish(), most = 30): void {
    let quiet = 0
    for (let round = 0; round < most; round += 1) {
      const before = JSON.stringify(this.instance.status)
      const actions = this.step()
      between()
      quiet = actions.length === 0 && before === JSON.stringify(this.instance.status) ? quiet + 1 : 0
      if (quiet === 2) return
      this.pass(1)
    }
    throw new Error(`The world does not settle: ${JSON.stringify(this.instance.status?.conditions)}`)
  }

  /** Controllers of the cluster do their work: pods get ready, Jobs succeed. */
  flourish(): void {
    for (const child of this.children) {
      if (child.kind === 'StatefulSet') this.#run(child as StatefulSet)
      if (child.kind === 'Deployment') this.#serve(child as Deployment)
    }
    for (const job of this.jobs.filter((one) => this.#hasBegun(one)))
      this.endJob(job.metadata.name, { code: 'ok', version: '0002', wanted: '0002', pgBoss: 38 })
  }

  #hasBegun({ metadata }: Job): boolean {
    const own = this.pods.filter((pod) => pod.metadata.ownerReferences?.[0]?.uid === metadata.uid)
    return own.some(({ status }) => status?.phase !== 'Pending')
  }

  /** A Job ends with this report. */
  endJob(name: string, report: { code: string; [figure: string]: unknown } | undefined, reason = ''): void {
    const job = this.jobs.find(({ metadata }) => metadata.name === name)
    if (job === undefined || job.status?.conditions) return
    const type = report?.code === 'ok' ? 'Complete' : 'Failed'
    job.status = { conditions: [{ type, status: 'True', reason, lastTransitionTime: this.now.toISOString() }] }
    const pod = this.pods.find(({ metadata }) => metadata.ownerReferences?.[0]?.uid === job.metadata.uid)
    if (pod === undefined) return
    const terminated = { exitCode: type === 'Complete' ? 0 : 1, message: report && JSON.stringify(report) }
    pod.status = {
      phase: type === 'Complete' ? 'Succeeded' : 'Failed',
      containerStatuses: [{ name: containerOf(pod), state: { terminated } }],
    }
  }

  /** The container of a Job is killed, and says nothing. */
  killJob(name: string, reason: string): void {
    this.endJob(name, undefined)
    const uid = this.jobs.find(({ metadata }) => metadata.name === name)?.metadata.uid
    const pod = this.pods.find(({ metadata }) => metadata.ownerReferences?.[0]?.uid === uid)
    const terminated = { exitCode: 137, reason }
    if (pod?.status)
      pod.status = { ...pod.status, containerStatuses: [{ name: containerOf(pod), state: { terminated } }] }
  }

  pass(seconds: number): void {
    this.now = new Date(this.now.getTime() + seconds * 1_000)
  }

  change(spec: PartialSpec): void {
    const generation = (this.instance.metadata.generation ?? 0) + 1
    const merged = { ...this.instance.spec, ...spec } as PartialSpec
    this.instance = {
      ...this.instance,
      metadata: { ...this.instance.metadata, generation },
      spec: instanceOf(merged).spec,
    }
  }

  /** Makes an object, or changes the one of its kind and name. */
  put(object: Manifest): void {
    if (object.kind === 'Job') this.#keepJob(object)
    else this.#apply(object)
  }

  /** Takes an object away, with the pods of a Job. */
  remove({ kind, uid }: { kind: string; uid: string }): void {
    this.children = this.children.filter((child) => child.kind !== kind || child.metadata.uid !== uid)
    this.jobs = this.jobs.filter((job) => kind !== 'Job' || job.metadata.uid !== uid)
    this.pods = this.pods.filter((pod) => pod.metadata.ownerReferences?.[0]?.uid !== uid)
  }

  find<T extends KubeObject>(kind: string, name: string): T | undefined {
    return this.children.find((child) => child.kind === kind && child.metadata.name === name) as T | undefined
  }

  condition(type: string): { status: string; reason: string; message: string } | undefined {
    return this.instance.status?.conditions?.find((condition) => condition.type === type)
  }

  #record(planned: Plan): void {
    this.instance = { ...this.instance, status: statusOf(this.observed(), planned) }
  }

  #carryOut(action: Action): void {
    if (action.do === 'delete') this.remove(action.target)
    else this.put(action.object)
  }

  #apply(object: Manifest): void {
    const { kind, metadata } = object
    const live = this.children.find((child) => child.kind === kind && child.metadata.name === metadata.name)
    if (live === undefined) this.children.push(this.#born(object))
    else this.#change(live, mergeInto(live, object) as KubeObject)
  }

  #change(live: KubeObject, wanted: KubeObject): void {
    const isNew = JSON.stringify((live as StatefulSet).spec) !== JSON.stringify((wanted as StatefulSet).spec)
    const generation = (live.metadata.generation ?? 1) + (live.kind === 'StatefulSet' && isNew ? 1 : 0)
    Object.assign(live, wanted, { metadata: { ...wanted.metadata, generation } })
  }

  #born(object: Manifest): KubeObject {
    this.#uid += 1
    const spec = object.kind === 'Deployment' ? { spec: { replicas: 1, ...(object.spec as object) } } : {}
    const metadata = { ...object.metadata, uid: `uid-${this.#uid}`, generation: 1 }
    return { ...structuredClone(object), ...structuredClone(spec), metadata } as KubeObject
  }

  #keepJob(object: Manifest): void {
    const live = this.jobs.find(({ metadata }) => metadata.name === object.metadata.name)
    if (live === undefined) this.#makeJob(object)
    // Nothing else of a Job is ever changed.
    else live.metadata.ownerReferences = object.metadata.ownerReferences
  }

  #makeJob(object: Manifest): void {
    const job = this.#born(object)
    const isAtOnce = !this.isProvisioning && job.metadata.labels?.[LABELS.component] === 'provision'
    if (!isAtOnce) this.made.push(job.metadata.name)
    this.jobs.push(job)
    const owner = { apiVersion: 'batch/v1', kind: 'Job', name: job.metadata.name, uid: job.metadata.uid ?? '' }
    const metadata = { name: `${job.metadata.name}-x`, labels: job.metadata.labels, ownerReferences: [owner] }
    this.pods.push({ apiVersion: 'v1', kind: 'Pod', metadata, status: { phase: 'Running' } })
    if (isAtOnce) this.endJob(job.metadata.name, { code: 'ok', provisioning: PROVISIONING_VERSION })
  }

  #run(set: StatefulSet): void {
    const count = set.spec?.replicas ?? 1
    set.status = { observedGeneration: set.metadata.generation, readyReplicas: count, updatedReplicas: count }
  }

  #serve(deployment: Deployment): void {
    const count = deployment.spec?.replicas ?? 1
    deployment.status = {
      observedGeneration: 1,
      replicas: count,
      updatedReplicas: count,
      readyReplicas: count,
      availableReplicas: count,
    }
  }
}

/** The container of a task has the name of its kind. */
function containerOf({ metadata }: Pod): string {
  return metadata.labels?.[LABELS.component] ?? ''
}

/** As server-side apply does for one manager, roughly: fields over fields; lists, and objects with one owner, as a whole. */
export function mergeInto(live: unknown, wanted: unknown, place = ''): unknown {
  if (!isRecord(live) || !isRecord(wanted) || isAtomic(place)) return structuredClone(wanted)
  const changed = Object.entries(wanted).map(([key, value]) => [key, mergeInto(live[key], value, placeIn(place, key))])
  return { ...live, ...Object.fromEntries(changed) }
}
