import { describe, expect, test } from 'vitest'
import { LABELS, MANAGED_BY } from '../../../operator/api/labels.ts'
import type { KubeObject, ObjectMeta } from '../../../operator/api/object.ts'
import type { ListOptions } from '../../../operator/kube/client.ts'
import type { ListWatcher } from '../../../operator/kube/reflector.ts'
import type { Resource } from '../../../operator/kube/resources.ts'
import type { WatchEvent, WatchOptions } from '../../../operator/kube/watch.ts'
import { Watches } from '../../../operator/process/watches.ts'
import { FakeClock, settled } from '../../support/fake-clock.ts'
import { instanceOf, requestOf } from '../plan/world.ts'

type Selection = Pick<ListOptions, 'labelSelector' | 'metadataOnly'>

/** An API server with what it was given at the start, which tells later changes to whoever watches the kind. */
class Api {
  readonly selections = new Map<string, Selection>()
  readonly #items: KubeObject[]
  readonly #watchers = new Map<string, (event: WatchEvent<KubeObject>) => void>()

  constructor(items: KubeObject[]) {
    this.#items = items
  }

  get client(): ListWatcher {
    return {
      list: async ({ kind, plural }: Resource, { labelSelector, metadataOnly }: ListOptions = {}) => {
        this.selections.set(plural, { labelSelector, metadataOnly })
        const items = this.#items.filter((item) => item.kind === kind)
        return { items: items as never[], resourceVersion: '1', continue: undefined }
      },
      watch: async ({ kind }: Resource, { signal }: WatchOptions) => ({
        events: this.#events(kind, signal) as never,
        close: () => {},
      }),
    }
  }

  change(object: KubeObject): void {
    this.#watchers.get(object.kind)?.({ type: 'MODIFIED', object })
  }

  async *#events(kind: string, signal: AbortSignal | undefined): AsyncGenerator<WatchEvent<KubeObject>> {
    while (!signal?.aborted) {
      const next = await new Promise<WatchEvent<KubeObject> | undefined>((resolve) => {
        this.#watchers.set(kind, resolve)
        signal?.addEventListener('abort', () => resolve(undefined))
      })
      if (next !== undefined) yield next
    }
  }
}

function secret(name: string, metadata: Partial<ObjectMeta> = {}): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name, namespace: 'search', resourceVersion: '1', ...metadata },
  }
}

const external = {
  external: {
    secretRef: { name: 'app', key: 'uri' },
    ownerSecretRef: { name: 'owner', key: 'uri' },
    directSecretRef: { name: 'direct', key: 'uri' },
  },
}
const instance = (name: string) => instanceOf({ database: external }, { name, uid: name })
const note = {
  'kubectl.kubernetes.io/last-applied-configuration': '{"stringData":{"uri":"postgresql://role:word@db"}}',
}

async function start(items: KubeObject[]) {
  const [api, keys]: [Api, string[]] = [new Api(items), []]
  const watches = new Watches({
    client: api.client,
    clock: new FakeClock(),
    random: () => 0,
    namespaces: [],
    onInstance: (key) => keys.push(key),
  })
  watches.start()
  await settled()
  await settled()
  keys.length = 0
  const told = async (object: KubeObject) => {
    api.change(object)
    await settled()
    return keys.splice(0)
  }
  return { api, watches, told }
}

describe('the watches', () => {
  test('see Secrets without their content, and children by their label', async () => {
    const { api, watches } = await start([])
    expect(api.selections.get('secrets')).toEqual({ labelSelector: undefined, metadataOnly: true })
    expect(api.selections.get('storageinstances')).toMatchObject({ labelSelector: undefined })
    const unlabelled = ['secrets', 'storageinstances', 'storagebackups', 'storagerestores']
    const others = [...api.selections].filter(([plural]) => !unlabelled.includes(plural))
    expect(others).toHaveLength(11)
    expect(others.every(([, { labelSelector }]) => labelSelector?.endsWith(MANAGED_BY))).toBe(true)
    await watches.stop()
  })

  test('tell a changed Secret to all whose database it leads to, and to nobody else', async () => {
    const { watches, told } = await start([instance('a'), instance('b'), secret('app'), secret('owner'), secret('x')])
    expect(await told(secret('app', { resourceVersion: '2' }))).toEqual(['search/a', 'search/b'])
    expect(await told(secret('owner', { resourceVersion: '2' }))).toEqual(['search/a', 'search/b'])
    expect(await told(secret('direct', { resourceVersion: '2' }))).toEqual(['search/a', 'search/b'])
    expect(await told(secret('x', { resourceVersion: '2' }))).toEqual([])
    expect(await told(secret('app', { resourceVersion: '3', namespace: 'elsewhere' }))).toEqual([])
    await watches.stop()
  })

  test('tell a StorageBackup or StorageRestore to the instance that it names, whether that is there or not', async () => {
    for (const kind of ['StorageBackup', 'StorageRestore'] as const) {
      const { watches, told } = await start([requestOf(kind)])
      expect(await told(requestOf(kind, { resourceVersion: '2' }))).toEqual(['search/crawl'])
      expect(watches.caches[kind].byIndex('instance', 'search/crawl')).toHaveLength(1)
      await watches.stop()
    }
  })

  test('keep no more than name and version of a Secret of others: annotations may repeat its content', async () => {
    const labels = { [LABELS.managedBy]: MANAGED_BY, [LABELS.storageInstance]: 'a' }
    const own = secret('a-db', { labels, annotations: { kept: 'yes' } })
    const { watches } = await start([secret('app', { annotations: note, labels: { team: 'x' } }), own])
    expect(watches.caches.Secret.get('search/app')).toEqual(secret('app'))
    expect(watches.caches.Secret.byIndex('instance', 'search/a')).toEqual([own])
    await watches.stop()
  })
})
