import { API_VERSION } from '../../../operator/api/labels.ts'
import type { KubeObject } from '../../../operator/api/object.ts'
import type { StorageInstance } from '../../../operator/api/storage-instance.ts'
import type { KubeClient } from '../../../operator/kube/client.ts'
import { Informer } from '../../../operator/kube/informer.ts'
import { keyOf } from '../../../operator/kube/object.ts'
import { STORAGE_INSTANCES } from '../../../operator/kube/resources.ts'
import { SystemClock } from '../../../operator/process/system-clock.ts'
import { eventually } from '../../support/eventually.ts'

/** Where the instances are. */
export const NAMESPACES: readonly string[] = Array.from({ length: 10 }, (_, index) => `bench-${index}`)
const WRITERS = 16
const LIMIT_MS = 30 * 60_000
const RECONCILED_LIMIT_MS = 60_000

/** Tells every ten seconds how far something has come. */
class Progress {
  readonly #report: (count: number) => void
  #toldAtMs = performance.now()

  constructor(report: (count: number) => void) {
    this.#report = report
  }

  tell(count: number): void {
    if (performance.now() - this.#toldAtMs < 10_000) return
    this.#toldAtMs = performance.now()
    this.#report(count)
  }
}

type Change = { atMs: number; done: (latencyMs: number) => void }

/** The StorageInstances of the bench: makes them, changes them, and sees when the operator has reconciled a change. */
export class Instances {
  readonly #client: KubeClient
  readonly #count: number
  readonly #informer: Informer<KubeObject>
  /** By key and generation: changes that the operator has not answered yet. */
  readonly #changes = new Map<string, Change>()

  constructor(client: KubeClient, count: number) {
    this.#client = client
    this.#count = count
    const options = { client, resource: STORAGE_INSTANCES, clock: new SystemClock(), random: Math.random }
    this.#informer = new Informer<KubeObject>({ ...options, namespaces: [] })
    this.#informer.cache.onChange(({ after }) => this.#see(after as StorageInstance | undefined))
  }

  /** Makes the Secrets of the databases and the instances, as soon as the API server knows the kind. */
  async make(onProgress: (made: number) => void): Promise<void> {
    await eventually(async () => (await this.#client.list(STORAGE_INSTANCES, { limit: 1 })).items.length === 0)
    this.#informer.start()
    const left = Array.from({ length: this.#count }, (_, index) => index).values()
    const progress = new Progress(onProgress)
    const write = async () => {
      for (const index of left) {
        for (const object of objectsOf(index)) await this.#client.create(object)
        progress.tell(index)
      }
    }
    await Promise.all(Array.from({ length: WRITERS }, write))
  }

  async stop(): Promise<void> {
    await this.#informer.stop()
  }

  get ready(): number {
    return this.#informer.cache.list().filter((object) => (object as StorageInstance).status?.phase === 'Ready').length
  }

  async untilReady(onProgress: (ready: number) => void): Promise<void> {
    const progress = new Progress(onProgress)
    const check = () => {
      const { ready } = this
      progress.tell(ready)
      return ready === this.#count
    }
    await eventually(check, { timeoutMs: LIMIT_MS, intervalMs: 100 })
  }

  /** Changes ten specs at once; milliseconds from each request until the operator's status of that generation arrived here. */
  async changeTen(round: number): Promise<number[]> {
    const indexes = Array.from({ length: Math.min(10, this.#count) }, (_, index) => (round * 10 + index) % this.#count)
    return Promise.all(indexes.map((index) => this.#change(index)))
  }

  async #change(index: number): Promise<number> {
    const at = { resource: STORAGE_INSTANCES, namespace: namespaceOf(index), name: nameOf(index) }
    const key = `${at.namespace}/${at.name}`
    const { generation = 0, logLevel } = wanted(this.#informer.cache.get(key) as StorageInstance)
    const atMs = performance.now()
    const reconciled = new Promise<number>((done) => this.#changes.set(`${key} ${generation + 1}`, { atMs, done }))
    await this.#client.patch(at, { spec: { api: { logLevel } } })
    const late = AbortSignal.timeout(RECONCILED_LIMIT_MS)
    return Promise.race([
      reconciled,
      new Promise<number>((_, reject) => {
        late.addEventListener('abort', () => reject(new Error(`A change of ${key} was not reconciled in time.`)))
      }),
    ])
  }

  #see(instance: StorageInstance | undefined): void {
    if (instance === undefined) return
    const key = `${keyOf(instance)} ${instance.status?.observedGeneration}`
    const change = this.#changes.get(key)
    this.#changes.delete(key)
    change?.done(performance.now() - change.atMs)
  }
}

function wanted({ metadata, spec }: StorageInstance): { generation: number | undefined; logLevel: string } {
  return { generation: metadata.generation, logLevel: spec.api.logLevel === 'info' ? 'debug' : 'info' }
}

function nameOf(index: number): string {
  return `crawl-${String(index).padStart(4, '0')}`
}

function namespaceOf(index: number): string {
  return NAMESPACES[index % NAMESPACES.length] ?? ''
}

/** An instance with an external database: the one that has the fewest pods. */
function objectsOf(index: number): KubeObject[] {
  const namespace = namespaceOf(index)
  const secret = { name: `${nameOf(index)}-app`, namespace }
  const spec = { database: { external: { secretRef: { name: secret.name, key: 'uri' } } } }
  const uri = `postgresql://storage:storage@database-${index}.example:5432/storage`
  return [
    { apiVersion: 'v1', kind: 'Secret', metadata: secret, stringData: { uri } } as KubeObject,
    {
      apiVersion: API_VERSION,
      kind: 'StorageInstance',
      metadata: { name: nameOf(index), namespace },
      spec,
    } as KubeObject,
  ]
}
