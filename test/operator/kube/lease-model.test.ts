import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { KubeClient } from '../../../operator/kube/client.ts'
import { LeaderElector } from '../../../operator/kube/lease.ts'
import { pause } from '../../../operator/runtime/clock.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { ObjectStore } from './object-store.ts'

const SETTINGS = { durationMs: 15_000, renewDeadlineMs: 10_000, retryPeriodMs: 2_000 }
const RUNS = Number(process.env.LEASE_RUNS ?? 500)
const STEP_MS = 250
/** After the worst course: the lease of one that is gone has to run out, or a new one to be held for as long. */
const RECOVERY_MS = 30_000

type Act = {
  do: 'delete twice' | 'freeze' | 'outage' | 'restart' | 'stop' | 'nothing'
  who: number
  /** Between the two deletions. */
  gapMs: number
  /** What goes on for so long, or follows. */
  ms: number
}

/** A replica of a process of its own: it has its own clock, and its calls take time both ways. */
class Replica {
  readonly clock = new FakeClock()
  readonly elector: LeaderElector
  hasEnded = false

  constructor(store: ObjectStore, identity: string, chance: () => number, delayMs: number) {
    const { clock } = this
    const delay = () => pause(clock, chance() * delayMs)
    const slow =
      (method: 'get' | 'create' | 'replace') =>
      async (...args: never[]) => {
        await delay()
        try {
          return await (store.client[method] as (...args: never[]) => Promise<unknown>)(...args)
        } finally {
          await delay()
        }
      }
    const client = { get: slow('get'), create: slow('create'), replace: slow('replace') } as unknown as KubeClient
    const about = { namespace: 'n', name: 'lease', identity, settings: SETTINGS }
    this.elector = new LeaderElector({
      client,
      clock,
      random: chance,
      ...about,
      onElected() {},
      onLost: () => this.#end(),
    })
    this.elector.start()
  }

  #end(): void {
    this.hasEnded = true
  }
}

/** Numbers from 0 to 1 that a seed decides (mulberry32). */
function chanceOf(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Three replicas; one that is killed or ends is followed by another process, which knows nothing of what was. */
class Contest {
  readonly #store = new ObjectStore()
  readonly #chance: () => number
  readonly #delayMs: number
  readonly #replicas: Replica[]
  #starts = 0
  #frozen: number | undefined
  /** The most that led at a time. */
  mostLeaders = 0

  constructor({ seed, delayMs }: { seed: number; delayMs: number }) {
    this.#chance = chanceOf(seed)
    this.#delayMs = delayMs
    this.#replicas = [this.#start(), this.#start(), this.#start()]
  }

  async act({ do: what, who, gapMs, ms }: Act): Promise<void> {
    if (what === 'delete twice') await this.#deleteTwice(gapMs)
    if (what === 'restart') this.#replicas[who] = this.#start()
    if (what === 'outage') this.#store.outage = new Error('away')
    if (what === 'freeze') this.#frozen = who
    if (what === 'stop') void this.#replicas[who]?.elector.stop()
    await this.pass(ms)
    if (what === 'stop') this.#replicas[who] = this.#start()
    this.#store.outage = undefined
    this.#frozen = undefined
  }

  /** In small steps, in which the replicas take turns in any order. */
  async pass(ms: number): Promise<void> {
    for (let leftMs = ms; leftMs > 0; leftMs -= STEP_MS) {
      const first = Math.floor(this.#chance() * 3)
      for (const offset of [0, 1, 2]) await this.#step((first + offset) % 3)
      this.mostLeaders = Math.max(this.mostLeaders, this.leaders)
    }
  }

  get leaders(): number {
    return this.#replicas.filter(({ elector }) => elector.isLeader).length
  }

  async #step(i: number): Promise<void> {
    if (this.#replicas[i]?.hasEnded) this.#replicas[i] = this.#start()
    const { clock } = this.#replicas[i] as Replica
    if (i === this.#frozen) clock.freeze(STEP_MS)
    else await clock.pass(STEP_MS)
  }

  async #deleteTwice(gapMs: number): Promise<void> {
    this.#store.objects.delete('lease')
    await this.pass(gapMs)
    this.#store.objects.delete('lease')
  }

  #start(): Replica {
    this.#starts += 1
    return new Replica(this.#store, `r${this.#starts}`, this.#chance, this.#delayMs)
  }
}

const acts: fc.Arbitrary<Act> = fc.record({
  do: fc.constantFrom('delete twice', 'delete twice', 'freeze', 'outage', 'restart', 'stop', 'nothing'),
  who: fc.constantFrom(0, 1, 2),
  gapMs: fc.integer({ min: 0, max: 2_000 }),
  ms: fc.integer({ min: 0, max: 20_000 }),
})
const course = {
  seed: fc.integer(),
  delayMs: fc.integer({ min: 0, max: 1_000 }),
  acts: fc.array(acts, { maxLength: 10 }),
}

test(
  'of three one leads and never two, whatever is frozen, away, restarted, stopped, or deleted twice in two seconds',
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.record(course), async ({ acts, ...world }) => {
        const contest = new Contest(world)
        for (const act of acts) await contest.act(act)
        await contest.pass(RECOVERY_MS)
        expect(contest.leaders).toBe(1)
        expect(contest.mostLeaders).toBeLessThanOrEqual(1)
      }),
      { numRuns: RUNS },
    )
  },
  30_000 + RUNS * 100,
)
