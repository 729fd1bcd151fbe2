import { expect } from 'vitest'
import type { Random } from '../fault/random.ts'
import { eventually } from '../support/eventually.ts'
import type { Namespace } from './kit/namespace.ts'
import { Instance } from './kit/operator.ts'
import { databaseUrls, servedBy, settingOf } from './kit/served.ts'

/** What happens to the instances between two kills. `recreate` is a deletion, and with the next change a creation. */
const KINDS = ['run', 'scale', 'config', 'settings', 'image', 'secret', 'recreate'] as const
type Kind = (typeof KINDS)[number]

/**
 * One instance from its creation to its deletion: no more runs of migrations may be made than there were reasons for, and no
 * more trials than other `settings` of PostgreSQL.
 */
export type Life = { name: string; uid: string; reasons: number; settings: number }

const READY_SECONDS = 240
const SEEN = { timeoutMs: 90_000, intervalMs: 1_000 }

/** A managed instance `crawl` and an external one `outer` (the Secret and server `postgres`), changed at random. */
export class KillStory {
  readonly #space: Namespace
  readonly #random: Random
  readonly #nextTag: string
  readonly lives: Life[] = []
  /** How often each kind of change was made. */
  readonly counts: Record<Kind, number> = { run: 0, scale: 0, config: 0, settings: 0, image: 0, secret: 0, recreate: 0 }
  readonly crawl: Instance
  readonly outer: Instance
  #deck: Kind[] = []
  #isDeleted = false
  #spec = { replicas: 2, isWarn: false, isNext: false, sortMemory: '8MB' }
  /** When the newest run was asked for. */
  #askedAtMs = 0

  constructor(space: Namespace, random: Random, nextTag: string) {
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

  /** Waits until both instances are ready, and makes sure that each change has had its effect. */
  async settle(): Promise<void> {
    if (this.#isDeleted) await this.#create()
    // Neither changes the spec, and an instance that does not know of it yet is ready, too.
    await eventually(() => this.#expectRun(), { ...SEEN, timeoutMs: READY_SECONDS * 1_000 })
    await eventually(() => this.#expectSecret(), SEEN)
    await Promise.all([this.crawl.ready(READY_SECONDS), this.outer.ready(READY_SECONDS)])
    const { replicas, isWarn, isNext, sortMemory } = this.#spec
    const served = { replicas, logLevel: isWarn ? 'warn' : 'info', tag: isNext ? this.#nextTag : 'dev' }
    expect(await servedBy(this.#space, this.crawl)).toEqual(served)
    expect(await settingOf(this.#space, this.crawl, 'work_mem')).toBe(sortMemory)
    expect((await this.crawl.get()).metadata.uid).toBe(this.lives.at(-1)?.uid)
  }

  /** The newest run that was asked for was made since then, and has succeeded. */
  async #expectRun(): Promise<void> {
    const { status } = await this.crawl.get()
    const { phase, startedAt = '' } = status?.runs?.migrate ?? {}
    expect({ phase, token: status?.runTokens?.migrate }).toEqual({ phase: 'Succeeded', token: this.#token })
    // The time of a run has no parts of a second.
    expect(Date.parse(startedAt) + 1_000).toBeGreaterThan(this.#askedAtMs)
  }

  /** All pods of `outer` were started with the newest content of its Secret. */
  async #expectSecret(): Promise<void> {
    if (this.counts.secret === 0) return
    const urls = await databaseUrls(this.#space, this.outer)
    const names = urls.map((url) => new URL(url).searchParams.get('application_name'))
    expect(names).toEqual([`change-${this.counts.secret}`])
  }

  get #token(): string {
    return `migrate-${this.counts.run}`
  }

  readonly #change: Record<Kind, () => Promise<void>> = {
    run: async () => {
      this.#askedAtMs = Date.now()
      await this.#apply(1)
    },
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
    const annotations = { 'storage.sonoma.dev/run': this.#token }
    const api = { replicas, logLevel: isWarn ? 'warn' : 'info' }
    const database = { managed: { parameters: { work_mem: sortMemory } } }
    await this.crawl.apply({ api, database, ...(isNext && { image: { tag: this.#nextTag } }) }, annotations)
  }

  /** Another content that leads to the same database. */
  async #changeSecret(): Promise<void> {
    const outer = this.lives.find(({ name }) => name === 'outer')
    if (outer !== undefined) outer.reasons += 1
    const encoded = await this.#space.kubectl('get', 'secret', 'postgres', '-o', 'jsonpath={.data.uri}')
    const url = new URL(Buffer.from(encoded, 'base64').toString())
    url.searchParams.set('application_name', `change-${this.counts.secret}`)
    const patch = JSON.stringify({ stringData: { uri: url.href } })
    await this.#space.kubectl('patch', 'secret', 'postgres', '--type=merge', '-p', patch)
  }
}

async function lifeOf(instance: Instance): Promise<Life> {
  const { metadata } = await instance.get()
  return { name: instance.name, uid: metadata.uid ?? '', reasons: 1, settings: 0 }
}

function shuffled<T>(items: readonly T[], random: Random): T[] {
  return items
    .map((item) => ({ item, at: random.next() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item)
}
