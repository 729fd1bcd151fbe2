import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { alive, type Happening, happen, happenings } from '../plan/happenings.ts'
import type { World } from '../plan/world.ts'
import { Cluster, FAULTS, type Fault } from './cluster.ts'

/** One reconcile: what happened before it, what the caches know of that, which of its requests meets what, and who comes next. */
type Round = {
  happening: Happening
  seen: 'all' | 'instance' | 'nothing'
  fault: { at: number; kind: Fault } | undefined
  isReplaced: boolean
}

// An instance at rest costs no request, and a new run three; one that is new costs more.
const faults = fc.record({
  at: fc.oneof(fc.nat({ max: 3 }), fc.nat({ max: 40 })),
  kind: fc.constantFrom(...FAULTS),
})
const rounds: fc.Arbitrary<Round> = fc.record({
  happening: fc.oneof(happenings, fc.constantFrom('1', '2').map(release)),
  seen: fc.constantFrom('all', 'all', 'instance', 'nothing'),
  fault: fc.option(faults, { nil: undefined }),
  isReplaced: fc.boolean(),
})

function release(tag: string): Happening {
  return { kind: 'change', spec: { image: { tag } } }
}

/** Whether the reconcile rejected. */
async function live(cluster: Cluster, { happening, seen, fault, isReplaced }: Round): Promise<boolean> {
  happen(cluster.world, happening)
  if (seen !== 'nothing') cluster.sync(seen === 'all' ? undefined : ['StorageInstance'])
  if (fault) cluster.faults = [...new Array(fault.at).fill(undefined), fault.kind]
  const result = await cluster.reconcile()
  if (isReplaced) cluster.restart()
  return 'error' in result
}

/** Runs that were given up as lost although their Jobs go on. */
function lostAlive({ instance, jobs }: World): string[] {
  const lost = Object.values(instance.status?.runs ?? {}).filter(({ message }) =>
    message?.includes('The Job of the run was deleted'),
  )
  const names = lost.map(({ name }) => name)
  return jobs
    .filter(({ status }) => status?.conditions === undefined)
    .flatMap(({ metadata }) => names.filter((name) => name === metadata.name))
}

/** Past every deadline and every back-off, with nothing in the way, and not stopped. */
async function recover(cluster: Cluster): Promise<void> {
  cluster.world.change({ stopped: false })
  for (let days = 0; days < 3; days += 1) {
    cluster.world.pass(86_400)
    await cluster.settle()
  }
}

describe('whatever becomes of its requests, the reconciler', () => {
  test('never has two migrations at a time, makes no run that is not written down, and ends ready and at rest', async () => {
    let rejected = 0
    const law = fc.asyncProperty(
      fc.boolean(),
      fc.array(rounds, { maxLength: 30, size: 'max' }),
      async (isNew, story) => {
        const cluster = new Cluster()
        const { world } = cluster
        if (!isNew) await cluster.settle()
        for (const round of story) {
          if (await live(cluster, round)) rejected += 1
          expect(alive(world)).toBeLessThanOrEqual(1)
          expect(lostAlive(world)).toEqual([])
        }
        await recover(cluster)
        expect(world.condition('Ready')).toMatchObject({ status: 'True' })
        expect(cluster.unrecorded).toEqual([])
        expect(new Set(world.made).size).toBe(world.made.length)
      },
    )
    await fc.assert(law, { numRuns: 60 })
    expect(rejected).toBeGreaterThan(0)
  })
})
