import { describe, expect, test } from 'vitest'
import type { KubeObject } from '../../../operator/api/object.ts'
import { CHILD_ANNOTATIONS } from '../../../operator/desired/annotations.ts'
import { Cache } from '../../../operator/kube/cache.ts'
import type { KubeClient } from '../../../operator/kube/client.ts'
import type { StatefulSet } from '../../../operator/plan/live-objects.ts'
import type { Observed } from '../../../operator/plan/observed.ts'
import { plan, stepsOf } from '../../../operator/plan/plan.ts'
import { loadConfig } from '../../../operator/process/config.ts'
import { ApiServerPorts } from '../../../operator/reconcile/api-server-ports.ts'
import { ClusterIdentity } from '../../../operator/reconcile/cluster-identity.ts'
import { LastEvents } from '../../../operator/reconcile/last-events.ts'
import { observe } from '../../../operator/reconcile/observe.ts'
import { INSTANCE_INDEX, type ReconcilerParts } from '../../../operator/reconcile/parts.ts'
import { issue, type SecretContent } from '../../../operator/reconcile/random-secrets.ts'
import { SchemaReadings } from '../../../operator/reconcile/schema-readings.ts'
import { formerVersion, SecretReadings } from '../../../operator/reconcile/secret-readings.ts'
import { instanceOf, type PartialSpec, START, World } from '../plan/world.ts'

const EXTERNAL = { database: { external: { secretRef: { name: 'given', key: 'uri' } } } }
const encoded = (text: string) => Buffer.from(text).toString('base64')

/** A settled world whose Secrets have content, observed by the operator's own code. */
class Cluster {
  readonly world: World
  readonly #secrets = new Map<string, SecretContent>()
  readonly #readings = {
    schemas: new SchemaReadings({ onReading: () => undefined }),
    secrets: new SecretReadings(),
    cluster: new ClusterIdentity(),
    ports: new ApiServerPorts(),
    events: new LastEvents(),
  }
  #version = 100

  constructor(spec: PartialSpec = {}) {
    this.world = new World(instanceOf(spec))
  }

  /** Gives the Secrets of the world what the operator would have put into them. */
  async fill(): Promise<void> {
    for (const shell of this.world.children.filter(({ kind }) => kind === 'Secret')) {
      const content = shell.metadata.name.endsWith('-hash-key') ? 'hashKey' : 'credentials'
      const { stringData } = await issue(content, { ...shell }, START)
      const data = Object.entries(stringData as object).map(([key, text]) => [key, encoded(text)])
      this.write(shell.metadata.name, Object.fromEntries(data))
    }
  }

  /** Writes a Secret as a whole, or without `data` only something that means nothing: either makes another version of it. */
  write(name: string, data = this.#secrets.get(name)?.data): void {
    this.#version += 1
    const own = this.world.find('Secret', name)?.metadata
    const metadata = { uid: `uid-${name}`, ...own, name, namespace: 'search', resourceVersion: `${this.#version}` }
    if (own) Object.assign(own, metadata)
    this.#secrets.set(name, { apiVersion: 'v1', kind: 'Secret', metadata, data })
  }

  remove(name: string): void {
    this.#secrets.delete(name)
    this.world.children = this.world.children.filter(({ metadata }) => metadata.name !== name)
  }

  /** Makes the pods what an earlier version of the operator would have made of this Secret. */
  carryFormerWord(kind: 'StatefulSet' | 'Deployment', name: string, secret: string): void {
    const owner = this.world.find<StatefulSet>(kind, name)
    const word = formerVersion(this.#secrets.get(secret) as KubeObject)
    Object.assign(owner?.spec?.template?.metadata?.annotations ?? {}, { [CHILD_ANNOTATIONS.databaseSecret]: word })
  }

  async observe(): Promise<Observed> {
    const { world } = this
    const of = (kinds: string[]) => {
      const cache = new Cache<KubeObject>([''], { [INSTANCE_INDEX]: () => ['search/crawl'] })
      for (const child of [...world.children, ...world.jobs].filter(({ kind }) => kinds.includes(kind))) {
        cache.set({ ...child, metadata: { ...child.metadata, namespace: 'search' } })
      }
      return cache
    }
    const kinds = ['Secret', 'Deployment', 'StatefulSet', 'Job']
    const caches = new Proxy({} as ReconcilerParts['caches'], {
      get: (_all, kind) => of(kinds.filter((known) => known === kind)),
    })
    const get = async ({ kind }: { kind: string }, _namespace: string, name: string) =>
      kind === 'Secret' ? this.#secrets.get(name) : world.find(kind, name)
    const client = { get } as unknown as KubeClient
    const config = loadConfig({ KUBECONFIG: '/not/read' })
    const parts = { client, caches, clock: { now: () => world.now } as ReconcilerParts['clock'], config }
    const { signal } = new AbortController()
    const observed = await observe({ ...parts, readings: this.#readings }, world.instance, signal)
    return { ...observed, release: world.release }
  }

  /** What the pods of an owner are to carry by the next plan; undefined where it leaves the owner alone. */
  async planned(kind: string): Promise<{ word: string; note: string | undefined } | undefined> {
    const actions = stepsOf(plan(await this.observe())).flatMap((step) => step.actions ?? [])
    const objects = actions.flatMap((action) =>
      action.do === 'apply' && action.manager === undefined ? action.object : [],
    )
    const object = objects.find((one) => one.kind === kind) as StatefulSet | undefined
    const word = object?.spec?.template?.metadata?.annotations?.[CHILD_ANNOTATIONS.databaseSecret]
    if (word === undefined) return undefined
    Object.assign(this.world.find(kind, object?.metadata.name ?? '') ?? {}, structuredClone(object))
    return { word, note: object?.metadata.annotations?.[CHILD_ANNOTATIONS.databaseSecretHash] }
  }
}

async function managed(): Promise<Cluster> {
  const cluster = new Cluster()
  cluster.world.settle()
  await cluster.fill()
  return cluster
}

describe('the credentials of a managed database', () => {
  test('restart it when they change, and not when the Secret is written to for another reason', async () => {
    const cluster = await managed()
    const first = await cluster.planned('StatefulSet')
    expect(first).toMatchObject({ word: expect.stringMatching(/^[0-9a-f]{32}$/), note: undefined })
    cluster.write('crawl-db')
    cluster.write('crawl-hash-key')
    expect(await cluster.planned('StatefulSet')).toBeUndefined()
    cluster.write('crawl-db', { 'owner-password': encoded('another') })
    expect((await cluster.planned('StatefulSet'))?.word).not.toBe(first?.word)
  })

  test('that an earlier version of the operator named otherwise restart nothing, now or at a later write', async () => {
    const cluster = await managed()
    cluster.carryFormerWord('StatefulSet', 'crawl-db', 'crawl-db')
    const { version } = (await cluster.observe()).ownerSecret as { version: string }
    const taken = await cluster.planned('StatefulSet')
    expect(taken).toEqual({ word: version, note: expect.stringMatching(/^[0-9a-f]{32}$/) })
    cluster.write('crawl-db')
    expect(await cluster.planned('StatefulSet')).toBeUndefined()
    cluster.write('crawl-db', { 'owner-password': encoded('another') })
    expect(await cluster.planned('StatefulSet')).toMatchObject({ note: undefined })
  })

  test('are waited for until there is a key to hash them with, and everything stays as it is', async () => {
    const cluster = await managed()
    cluster.remove('crawl-hash-key')
    const observed = await cluster.observe()
    expect(observed.ownerSecret).toEqual({ state: 'unread' })
    const { steps } = plan(observed)
    expect(Object.keys(steps)).toEqual(['surroundings', 'rollout'])
    expect(steps.surroundings).toMatchObject({ state: 'waiting', why: { reason: 'Reconciling' } })
    expect(steps.surroundings?.actions).toMatchObject([{ do: 'issue', content: 'hashKey' }])
  })
})

describe('the Secret of an external database', () => {
  test('rolls the service when its URL changes, and not when it is written to for another reason', async () => {
    const cluster = new Cluster(EXTERNAL)
    cluster.world.external = { service: { state: 'usable', version: 'v' }, owner: { state: 'usable', version: 'v' } }
    cluster.world.settle()
    await cluster.fill()
    cluster.write('given', { uri: encoded('postgresql://a:b@db/a') })
    cluster.carryFormerWord('Deployment', 'crawl-api', 'given')
    const { serviceSecret, ownerSecret, secretDigest } = await cluster.observe()
    const word = (serviceSecret as { version: string }).version
    expect(word).toMatch(/^[0-9a-f]{16}$/)
    expect(ownerSecret).toEqual(serviceSecret)
    const noted = cluster.world.find('Deployment', 'crawl-api')?.metadata
    Object.assign(noted ?? {}, { annotations: { [CHILD_ANNOTATIONS.databaseSecretHash]: secretDigest } })
    cluster.write('given')
    expect((await cluster.observe()).serviceSecret).toEqual(serviceSecret)
    cluster.write('given', { uri: encoded('postgresql://a:c@db/a') })
    expect((await cluster.observe()).serviceSecret).not.toEqual(serviceSecret)
  })
})
