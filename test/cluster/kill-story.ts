import { CHILD_ANNOTATIONS } from '../../operator/desired/annotations.ts'
import { eventually } from '../support/eventually.ts'
import type { Namespace } from './kit/namespace.ts'
import { Instance } from './kit/operator.ts'

/** What happens to the instances between two kills. `recreate` is a deletion, and with the next change a creation. */
const KINDS = ['run', 'scale', 'config', 'settings', 'image', 'secret', 'recreate'] as const
type Kind = (typeof KINDS)[number]

/**
 * One instance from its creation to its deletion: no more runs of migrations may be made than there were reasons for, and no
 * more trials than other `settings` of PostgreSQL.
 */
export type Life = { name: string; uid: string; reasons: number; settings: number }

const READY_SECONDS = 240

/** A managed instance `crawl` and an external one `outer` (the Secret and server `postgres`), changed at random. */
export class KillStory {
  readonly #space: Namespace
  readonly #random: () => number
  readonly #nextTag: string
  readonly lives: Life[] = []
  /** How often each kind of change was made. */
  readonly counts: Record<Kind, number> = { run: 0, scale: 0, config: 0, settings: 0, image: 0, secret: 0, recreate: 0 }
  readonly crawl: Instance
  readonly outer: Instance
  #deck: Kind[] = []
  #isDeleted = false
  #spec = { replicas: 2, isWarn: false, isNext: false, sortMemory: '8MB' }
  #secretBefore = ''

  constructor(space: Namespace, random: () => number, nextTag: string) {
    this.#space = space
    this.#random = random
    this.#nextTag = nextTag
    this.crawl = Instance.at(space, 'crawl')
    this.outer = Instance.at(space, 'outer')
  }

  async begin(): Promise<void> {
    await this.outer.apply({ api: { replicas: 1 }, database: { external: { secretRef: { name: 'postgres' } } } })
    this.lives.push(await lifeOf(this.outer))
    await this.#create()
  }

  /** One change; of each kind as often, in an order of chance. */
  async act(): Promise<void> {
    if (this.#isDeleted) return this.#create()
    const [kind, ...rest] = this.#deck.length > 0 ? this.#deck : shuffled(KINDS, this.#random)
    this.#deck = rest
    if (kind === undefined) return
    this.counts[kind] += 1
    await this.#change[kind]()
  }

  /** Waits until both instances are as they are wanted. */
  async settle(): Promise<void> {
    if (this.#isDeleted) await this.#create()
    await Promise.all([this.crawl.ready(READY_SECONDS), this.outer.ready(READY_SECONDS)])
    if (this.counts.secret === 0) return
    // An instance that does not know of the change yet is ready too.
    const isNoticed = async () => (await this.#secretVersion()) !== this.#secretBefore
    await eventually(isNoticed, { timeoutMs: 90_000, intervalMs: 1_000 })
    await this.outer.ready(READY_SECONDS)
  }

  readonly #change: Record<Kind, () => Promise<void>> = {
    run: async () => this.#apply(1),
    scale: async () => {
      this.#spec.replicas = 3 - this.#spec.replicas
      await this.#apply()
    },
    config: async () => {
      this.#spec.isWarn = !this.#spec.isWarn
      await this.#apply()
    },
    settings: async () => {
      this.#spec.sortMemory = this.#spec.sortMemory === '8MB' ? '9MB' : '8MB'
      const life = this.lives.at(-1)
      if (life !== undefined) life.settings += 1
      await this.#apply()
    },
    image: async () => {
      this.#spec.isNext = !this.#spec.isNext
      await this.#apply(1)
    },
    secret: () => this.#changeSecret(),
    recreate: async () => {
      this.#isDeleted = true
      await this.#space.kubectl('delete', this.crawl.target)
    },
  }

  async #create(): Promise<void> {
    this.#isDeleted = false
    await this.#apply()
    this.lives.push(await lifeOf(this.crawl))
  }

  /** `reasons`: how many runs of migrations this asks for. */
  async #apply(reasons = 0): Promise<void> {
    const { replicas, isWarn, isNext, sortMemory } = this.#spec
    const life = this.lives.at(-1)
    if (life !== undefined) life.reasons += reasons
    const annotations = { 'storage.sonoma.dev/run': `migrate-${this.counts.run}` }
    const api = { replicas, logLevel: isWarn ? 'warn' : 'info' }
    const database = { managed: { parameters: { work_mem: sortMemory } } }
    await this.crawl.apply({ api, database, ...(isNext && { image: { tag: this.#nextTag } }) }, annotations)
  }

  /** Another content that leads to the same database. */
  async #changeSecret(): Promise<void> {
    this.#secretBefore = await this.#secretVersion()
    const outer = this.lives.find(({ name }) => name === 'outer')
    if (outer !== undefined) outer.reasons += 1
    const encoded = await this.#space.kubectl('get', 'secret', 'postgres', '-o', 'jsonpath={.data.uri}')
    const url = new URL(Buffer.from(encoded, 'base64').toString())
    url.searchParams.set('application_name', `change-${this.counts.secret}`)
    const patch = JSON.stringify({ stringData: { uri: url.href } })
    await this.#space.kubectl('patch', 'secret', 'postgres', '--type=merge', '-p', patch)
  }

  /** Of the pods of `outer`; empty where there are none yet. */
  async #secretVersion(): Promise<string> {
    const path = `{.spec.template.metadata.annotations.${CHILD_ANNOTATIONS.databaseSecret.replaceAll('.', '\\.')}}`
    const get = ['get', 'deployment', 'outer-api', '--ignore-not-found', '-o', `jsonpath=${path}`]
    return this.#space.kubectl(...get)
  }
}

async function lifeOf(instance: Instance): Promise<Life> {
  const { metadata } = await instance.get()
  return { name: instance.name, uid: metadata.uid ?? '', reasons: 1, settings: 0 }
}

function shuffled<T>(items: readonly T[], random: () => number): T[] {
  return items
    .map((item) => ({ item, at: random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item)
}
