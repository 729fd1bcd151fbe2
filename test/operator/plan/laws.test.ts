import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { covers } from '../../../operator/plan/differs.ts'
import { plan, stepsOf } from '../../../operator/plan/plan.ts'
import { isActive } from '../../../operator/plan/runs/runs.ts'
import { type PartialSpec, World } from './world.ts'

const actionsOf = (world: World) => stepsOf(plan(world.observed())).flatMap((step) => step.actions ?? [])

const specs: fc.Arbitrary<PartialSpec> = fc.record(
  {
    image: fc.record({ tag: fc.constantFrom('1', '2', '3') }),
    api: fc.record({ replicas: fc.integer({ min: 0, max: 4 }), poolSize: fc.constantFrom(10, 20) }),
    migrations: fc.record({ onDrift: fc.constantFrom('Alert', 'Ignore') }),
    database: fc.record({ managed: fc.record({ parameters: fc.record({ work_mem: fc.constantFrom('8MB', '9MB') }) }) }),
    deletionPolicy: fc.constantFrom('Retain', 'Delete'),
  },
  { requiredKeys: [] },
)
/** What may happen between two reconciles. */
const happenings = fc.oneof(
  specs.map((spec) => ({ kind: 'change' as const, spec })),
  fc
    .constantFrom(...(['nothing', 'flourish', 'killPods', 'deleteJob', 'fail', 'deleteChild', 'wait'] as const))
    .map((kind) => ({ kind })),
)
type Happening = { kind: string; spec?: PartialSpec }

function happen(world: World, { kind, spec }: Happening): void {
  const last = world.jobs.at(-1)
  if (kind === 'change') world.change(spec ?? {})
  if (kind === 'flourish') world.flourish()
  if (kind === 'killPods' && last) world.endJob(last.metadata.name, undefined)
  if (kind === 'fail' && last) world.endJob(last.metadata.name, { code: 'failed', error: 'no' })
  // One that nobody has seen yet is made again, under the same name: it is the same run.
  const runs = Object.values(world.instance.status?.runs ?? {})
  if (kind === 'deleteJob' && last && runs.every(({ phase }) => phase !== 'Pending')) {
    world.jobs = world.jobs.filter((job) => job !== last)
    world.pods = world.pods.filter((pod) => pod.metadata.ownerReferences?.[0]?.uid !== last.metadata.uid)
  }
  if (kind === 'deleteChild') world.children = world.children.filter(({ kind: of }) => of !== 'Service')
  world.pass(kind === 'wait' ? 3_600 : 1)
}

/** Jobs of migrations that have not ended; a trial of settings touches no database. */
const alive = ({ jobs }: World) =>
  jobs.filter(({ metadata, status }) => metadata.name.includes('-migrate-') && status?.conditions === undefined).length

describe('whatever happens', () => {
  test('there are never two runs at a time, each has a deadline, and none is made twice', () => {
    fc.assert(
      fc.property(fc.array(happenings, { maxLength: 25 }), (story) => {
        const world = new World()
        for (const happening of story) {
          world.step()
          happen(world, happening)
          expect(alive(world)).toBeLessThanOrEqual(1)
          const run = world.instance.status?.runs?.migrate
          if (run) expect(Date.parse(run.deadline)).toBeGreaterThan(Date.parse(run.startedAt))
        }
        expect(new Set(world.made).size).toBe(world.made.length)
      }),
      { numRuns: 60 },
    )
  })

  test('it ends ready once things go well again, and then nothing is done any more', () => {
    fc.assert(
      fc.property(fc.array(happenings, { maxLength: 15 }), (story) => {
        const world = new World()
        for (const happening of story) {
          world.step()
          happen(world, happening)
        }
        // Past the deadline of a trial of settings, of a migration that waited for it, and past every back-off.
        for (let days = 0; days < 3; days += 1) {
          world.pass(86_400)
          world.settle()
        }
        expect(world.condition('Ready')).toMatchObject({ status: 'True' })
        expect(actionsOf(world)).toEqual([])
      }),
      { numRuns: 40 },
    )
  })

  test('a run that nobody ends is over after its deadline', () => {
    const world = new World()
    world.settle(() => {
      for (const child of world.children) {
        if (child.kind === 'StatefulSet') {
          Object.assign(child, { status: { observedGeneration: 1, readyReplicas: 1, updatedReplicas: 1 } })
        }
      }
    })
    const run = world.instance.status?.runs?.migrate
    expect(isActive(run)).toBe(true)
    world.now = new Date(Date.parse(run?.deadline ?? '') + 60_000)
    world.step()
    expect(world.instance.status?.runs?.migrate).toMatchObject({ name: run?.name, phase: 'Failed' })
    expect(world.jobs).toEqual([])
    expect(world.condition('SchemaUpToDate')).toMatchObject({ reason: 'MigrationTimedOut' })
  })
})

describe('covering', () => {
  test('everything covers itself, and also with more beside it', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (object) => {
        expect(covers(object, object)).toBe(true)
        expect(covers({ ...object, '~other': 1 }, object)).toBe(true)
      }),
    )
  })

  test.each([
    ['a quantity written another way', { cpu: '1' }, { cpu: '1000m' }, true],
    ['an empty value that is not stored', {}, { a: '', b: [], c: {}, d: false }, true],
    ['a false that was made true', { a: true }, { a: false }, false],
    ['an entry of a list that somebody has added', [{ name: 'a' }, { name: 'b' }], [{ name: 'a' }], true],
    ['an entry that is gone', [{ name: 'b' }], [{ name: 'a' }], false],
    ['an order that counts', ['b', 'a'], ['a', 'b'], false],
  ])('%s', (_what, live, wanted, expected) => expect(covers(live, wanted)).toBe(expected))
})
