import { pino } from 'pino'
import { beforeAll, describe, expect, test } from 'vitest'
import {
  ENDPOINTS_RULES,
  IDENTITY_RULES,
  INSTANCE_RULES,
  OWN_NAMESPACE_RULES,
  type PolicyRule,
} from '../../cdk8s/constructs/permissions.ts'
import type { KubeObject } from '../../operator/api/object.ts'
import { ApiError } from '../../operator/kube/api-error.ts'
import { Cache } from '../../operator/kube/cache.ts'
import { KubeClient } from '../../operator/kube/client.ts'
import { KubeEvents } from '../../operator/kube/events.ts'
import { LeaderElector } from '../../operator/kube/lease.ts'
import { resourceOf } from '../../operator/kube/resources.ts'
import type { ApiRequest, Transport } from '../../operator/kube/transport.ts'
import { loadConfig } from '../../operator/process/config.ts'
import { Watches } from '../../operator/process/watches.ts'
import { applyAll } from '../../operator/reconcile/apply.ts'
import { ChildMemory } from '../../operator/reconcile/child-memory.ts'
import { LastEvents } from '../../operator/reconcile/last-events.ts'
import { readRuns } from '../../operator/reconcile/live-runs.ts'
import type { Caches } from '../../operator/reconcile/parts.ts'
import { Reconciler } from '../../operator/reconcile/reconcile.ts'
import { instanceOf, type PartialSpec, requestOf, World } from '../operator/plan/world.ts'
import { FakeClock, settled } from '../support/fake-clock.ts'

const { signal } = new AbortController()

/** An API server in which there is nothing, and which notes as `verb group/resource` what it is asked for. */
class Recorder {
  readonly asked = new Set<string>()
  readonly client = new KubeClient(this as unknown as Transport)

  async send(request: ApiRequest): Promise<unknown> {
    const { name } = this.#note(request)
    if (request.method !== 'GET') return request.body
    if (name !== undefined) throw new ApiError(404, 'NotFound', 'There is nothing here.')
    return { items: [], metadata: { resourceVersion: '1' } }
  }

  async open(request: ApiRequest): Promise<{ chunks: AsyncIterable<Uint8Array>; close: () => void }> {
    this.#note(request)
    const chunks = (async function* () {
      await new Promise((resolve) => request.signal?.addEventListener('abort', resolve))
      yield* [] as Uint8Array[]
    })()
    return { chunks, close: () => undefined }
  }

  #note(request: ApiRequest): { name: string | undefined } {
    const at = placeOf(request.path)
    for (const verb of verbsOf(request, at.name)) this.asked.add(`${verb} ${at.resource}`)
    // Some clusters ask this of whoever lets a child block the deletion of its owner.
    for (const owner of (request.body as Partial<KubeObject> | undefined)?.metadata?.ownerReferences ?? []) {
      const { apiVersion, plural } = resourceOf(owner)
      if (owner.blockOwnerDeletion) this.asked.add(`update ${groupOf(apiVersion)}/${plural}/finalizers`)
    }
    return at
  }
}

const WRITES: Record<string, string> = { POST: 'create', PUT: 'update', PATCH: 'patch', DELETE: 'delete' }

function verbsOf({ method, query }: ApiRequest, name: string | undefined): string[] {
  if (query?.watch) return ['watch']
  if (method === 'GET') return [name === undefined ? 'list' : 'get']
  // An apply that takes nothing over is one of an object that is not there.
  const isNew = method === 'PATCH' && query?.force === false
  return [WRITES[method] ?? method, ...(isNew ? ['create'] : [])]
}

function placeOf(path: string): { resource: string; name: string | undefined } {
  const [, root, ...rest] = path.split('/')
  const apiVersion = root === 'api' ? rest.splice(0, 1) : rest.splice(0, 2)
  const isInside = rest[0] === 'namespaces' && rest.length > 2
  const [plural, name, subresource] = isInside ? rest.slice(2) : rest
  const resource = [groupOf(apiVersion.join('/')), plural, subresource].filter((part) => part !== undefined).join('/')
  return { resource, name }
}

function groupOf(apiVersion: string): string {
  return apiVersion.includes('/') ? (apiVersion.split('/')[0] ?? '') : ''
}

function granted(rules: readonly PolicyRule[]): string[] {
  return rules
    .flatMap(({ apiGroups, resources, verbs }) =>
      verbs.flatMap((verb) => apiGroups.flatMap((group) => resources.map((one) => `${verb} ${group}/${one}`))),
    )
    .sort()
}

const sorted = (asked: Iterable<string>) => [...asked].sort()

async function watchAll({ client }: Recorder): Promise<void> {
  const clock = new FakeClock()
  const watches = new Watches({ client, clock, random: () => 0, namespaces: [], onInstance: () => undefined })
  watches.start()
  for (let round = 0; round < 20 && !watches.hasSynced; round += 1) await settled()
  await settled()
  await watches.stop()
}

/** One look at the whole cluster and the statuses, with nothing in the caches but what people wrote. */
async function reconcile({ client }: Recorder, spec: PartialSpec): Promise<void> {
  const instance = instanceOf(spec)
  const written = [instance, requestOf('StorageBackup'), requestOf('StorageRestore')]
  const cacheOf = (kind: string) => {
    const cache = new Cache<KubeObject>([''], { instance: () => ['search/crawl'] })
    for (const object of written.filter((one) => one.kind === kind)) cache.set(object)
    return cache
  }
  const caches = new Proxy({} as Caches, { get: (_all, kind) => cacheOf(String(kind)) })
  const events = { record: () => undefined }
  const config = loadConfig({ KUBECONFIG: '/not/read' })
  const parts = { client, caches, events, clock: new FakeClock(), config, log: pino({ level: 'silent' }) }
  await new Reconciler({ ...parts, again: () => undefined }).reconcile('search/crawl', signal)
}

/** Lets a world come to rest, and asks the API server for whatever is done in it. */
async function live({ client }: Recorder, world: World): Promise<void> {
  for (let round = 0; round < 20; round += 1) {
    const observed = world.observed()
    const parts = { client, observed, signal, onDone: () => undefined, memory: new ChildMemory() }
    await applyAll(parts, world.step())
    world.flourish()
    world.pass(5)
  }
}

/** From the first pod to the last change: everything that an instance can have, and the taking away of it. */
async function liveThrough(recorder: Recorder): Promise<void> {
  const autoscaling = { minReplicas: 2, maxReplicas: 4 }
  const world = new World(instanceOf({ api: { replicas: 2, autoscaling } }))
  await live(recorder, world)
  // A run that the caches do not know of.
  world.change({ image: { tag: 'next' } })
  for (let round = 0; round < 2; round += 1) world.step()
  await readRuns(recorder.client, world.instance, { cached: { jobs: [], pods: [] }, signal })
  await new LastEvents().read(recorder.client, world.jobs, { now: world.now, signal })
  for (const { metadata } of [...world.children, ...world.jobs]) delete metadata.ownerReferences
  world.change({ api: { replicas: 1, networkPolicy: { enabled: false } } })
  for (const tag of ['2', '3', '4', '5']) {
    world.change({ image: { tag } })
    await live(recorder, world)
  }
}

async function lead({ client }: Recorder): Promise<void> {
  const clock = new FakeClock()
  const settings = { durationMs: 15_000, renewDeadlineMs: 10_000, retryPeriodMs: 2_000 }
  const tell = { onElected: () => undefined, onLost: () => undefined, onError: () => undefined }
  const elector = new LeaderElector({
    client,
    clock,
    random: () => 0,
    namespace: 'n',
    name: 'lease',
    identity: 'a',
    settings,
    ...tell,
  })
  elector.start()
  await clock.pass(60_000)
  await elector.stop()
}

async function tell({ client }: Recorder): Promise<void> {
  const clock = new FakeClock()
  const events = new KubeEvents({ client, clock, controller: 'c', instance: 'i' })
  const event = { regarding: instanceOf(), type: 'Normal', reason: 'Ready', action: 'Reconcile', message: 'm' } as const
  for (let count = 0; count < 3; count += 1) {
    events.record(event)
    await events.runOnce()
    await clock.pass(3_600_000)
  }
}

describe('the rights of the operator are those that it uses', () => {
  const [work, leadership] = [new Recorder(), new Recorder()]

  beforeAll(async () => {
    await watchAll(work)
    await reconcile(work, { api: { replicas: 2, autoscaling: { minReplicas: 2, maxReplicas: 4 } } })
    await reconcile(work, { database: { external: { secretRef: { name: 'app', key: 'uri' } } } })
    await liveThrough(work)
    await tell(work)
    await lead(leadership)
  })

  test('wherever there are instances', () => {
    expect(granted([...INSTANCE_RULES, ...IDENTITY_RULES, ...ENDPOINTS_RULES])).toEqual(sorted(work.asked))
  })

  test('in its own namespace', () => {
    expect(granted(OWN_NAMESPACE_RULES)).toEqual(sorted(leadership.asked))
  })
})
