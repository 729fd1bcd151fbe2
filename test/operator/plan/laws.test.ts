import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { RunStatus } from '../../../operator/api/instance/status.ts'
import { covers } from '../../../operator/plan/children/differs.ts'
import type { Deployment, Job, Pod, StatefulSet } from '../../../operator/plan/live-objects.ts'
import { plan, stepsOf } from '../../../operator/plan/plan.ts'
import { advance, isActive, type RunNeed } from '../../../operator/plan/runs/runs.ts'
import { alive, happen, happenings } from './happenings.ts'
import { instanceOf, START, World } from './world.ts'

/** One in which every run takes its time. */
const busyWorld = () => Object.assign(new World(), { isProvisioning: true })
const actionsOf = (world: World) => stepsOf(plan(world.observed())).flatMap((step) => step.actions ?? [])

const podsOf = (world: World) => ({
  service: world.find<Deployment>('Deployment', 'crawl-api')?.spec?.replicas ?? 0,
  database: world.find<StatefulSet>('StatefulSet', 'crawl-db')?.spec?.replicas ?? 0,
})

describe('whatever happens', () => {
  test('there are never two runs at a time, each has a deadline, and none is made twice', () => {
    fc.assert(
      fc.property(fc.array(happenings, { maxLength: 25 }), (story) => {
        const world = busyWorld()
        for (const happening of story) {
          world.step()
          happen(world, happening)
          expect(alive(world)).toBeLessThanOrEqual(1)
          for (const { deadline, startedAt } of Object.values(world.instance.status?.runs ?? {})) {
            expect(Date.parse(deadline)).toBeGreaterThan(Date.parse(startedAt))
          }
        }
        expect(new Set(world.made).size).toBe(world.made.length)
      }),
      { numRuns: 60 },
    )
  })

  test('it ends ready once things go well again, and then nothing is done any more', () => {
    fc.assert(
      fc.property(fc.array(happenings, { maxLength: 15 }), (story) => {
        const world = busyWorld()
        for (const happening of story) {
          world.step()
          happen(world, happening)
        }
        world.change({ stopped: false })
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

  test('an instance that is stopped ends without pods and without runs, and is ready again once it is started', () => {
    fc.assert(
      fc.property(fc.array(happenings, { maxLength: 15 }), (story) => {
        const world = new World()
        for (const happening of story) {
          world.step()
          happen(world, happening)
        }
        world.change({ stopped: true })
        const before = world.made.length
        world.settle()
        // A Job that was killed may still report.
        world.pass(60)
        world.settle()
        expect(world.made).toHaveLength(before)
        expect(world.condition('Ready')).toMatchObject({ status: 'False', reason: 'Stopped' })
        expect(world.condition('Stalled')).toMatchObject({ status: 'False' })
        expect(podsOf(world)).toEqual({ service: 0, database: 0 })
        expect(Object.values(world.instance.status?.runs ?? {}).filter(isActive)).toEqual([])
        expect(actionsOf(world)).toEqual([])
        world.change({ stopped: false })
        for (let days = 0; days < 3; days += 1) {
          world.pass(86_400)
          world.settle()
        }
        expect(world.condition('Ready')).toMatchObject({ status: 'True' })
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
    expect(world.madeJobs).toEqual([])
    expect(world.condition('SchemaUpToDate')).toMatchObject({ reason: 'MigrationTimedOut' })
  })
})

/** What the pod of the database is made of. */
const templateOf = (world: World) => JSON.stringify(world.find<StatefulSet>('StatefulSet', 'crawl-db')?.spec?.template)

describe('the turn of a database', () => {
  test('is not taken from a run: neither image nor Secret nor settings restart it while one is at work', () => {
    let restarts = 0
    fc.assert(
      fc.property(fc.array(happenings, { maxLength: 30 }), (story) => {
        const world = busyWorld()
        world.settle()
        for (const happening of story) {
          happen(world, happening)
          const [before, template] = [alive(world), templateOf(world)]
          world.step()
          if (templateOf(world) === template) continue
          restarts += 1
          expect([before, alive(world)]).toEqual([0, 0])
        }
      }),
      { numRuns: 60 },
    )
    expect(restarts).toBeGreaterThan(0)
  })

  const kinds = ['provision', 'migrate', 'backup', 'verify', 'restore', 'maintain'] as const
  type Kind = (typeof kinds)[number]
  const run: fc.Arbitrary<RunStatus> = fc.record({
    name: fc.constant(''),
    key: fc.constantFrom('old', 'new'),
    phase: fc.constantFrom('Pending', 'Running', 'Succeeded', 'Failed'),
    startedAt: fc.constantFrom('2026-11-23T02:14:58Z', '2026-11-23T02:14:59Z'),
    deadline: fc.constantFrom('2026-11-23T02:00:00Z', '2026-11-23T08:00:00Z'),
  })
  const remains = fc.constantFrom('nothing', 'job', 'endedJob', 'pod', 'endedPod')
  const past = fc.uniqueArray(fc.record({ kind: fc.constantFrom(...kinds), run, remains }), {
    selector: (one) => one.kind,
  })

  const metadataOf = (kind: Kind) => ({
    name: `crawl-${kind}`,
    uid: kind,
    labels: { 'app.kubernetes.io/component': kind },
  })

  function jobOf(kind: Kind, remains: string): Job | undefined {
    if (!/job/i.test(remains)) return undefined
    const conditions = [{ type: 'Complete', status: 'True', lastTransitionTime: START.toISOString() }]
    const status = remains === 'endedJob' ? { conditions } : {}
    return { apiVersion: 'batch/v1', kind: 'Job', metadata: metadataOf(kind), status }
  }

  function podOf(kind: Kind, remains: string): Pod | undefined {
    if (!/pod/i.test(remains)) return undefined
    const phase = remains === 'endedPod' ? 'Succeeded' : 'Running'
    return { apiVersion: 'v1', kind: 'Pod', metadata: metadataOf(kind), status: { phase } }
  }

  function worldOf(story: { kind: Kind; run: RunStatus; remains: string }[]): World {
    const runs = story.map(({ kind, run }) => [kind, { ...run, name: `crawl-${kind}` }])
    const world = new World({ ...instanceOf(), status: { observedGeneration: 1, runs: Object.fromEntries(runs) } })
    world.jobs = story.flatMap(({ kind, remains }) => jobOf(kind, remains) ?? [])
    world.pods = story.flatMap(({ kind, remains }) => podOf(kind, remains) ?? [])
    return world
  }

  const need = (kind: Kind): RunNeed => ({
    kind,
    key: 'new',
    transientCodes: [],
    job: ({ name }) => ({ apiVersion: 'batch/v1', kind: 'Job', metadata: { name } }),
  })

  test('is one run’s alone: of all kinds that are asked for in one plan one makes its Job, and none beside another', () => {
    let begun = 0
    fc.assert(
      fc.property(past, (story) => {
        const world = worldOf(story)
        const isFree = story.every(({ remains }) => !['job', 'pod'].includes(remains))
        // What is started is written down first, and planned again.
        for (let look = 0; look < 2; look += 1) {
          const states = kinds.map((kind) => [kind, advance(world.observed(), need(kind))] as const)
          const made = states.filter(([, { actions }]) => actions.some((action) => action.do === 'create'))
          expect(made.length).toBeLessThanOrEqual(isFree ? 1 : 0)
          begun += made.length
          const runs = states.flatMap(([kind, { run }]) => (run ? [[kind, run]] : []))
          world.instance = { ...world.instance, status: { observedGeneration: 1, runs: Object.fromEntries(runs) } }
        }
      }),
      { numRuns: 500 },
    )
    expect(begun).toBeGreaterThan(0)
  })

  test('is given back by a run that was written down and whose database went away before it began', () => {
    const world = new World()
    world.settle()
    world.change({ image: { tag: '2' } })
    world.record()
    expect(world.instance.status?.runs?.migrate).toMatchObject({ phase: 'Pending' })
    const set = world.find<StatefulSet>('StatefulSet', 'crawl-db')
    if (set?.status) set.status = { ...set.status, readyReplicas: 0 }
    world.step()
    expect(world.instance.status?.runs?.migrate).toMatchObject({ phase: 'Failed' })
    world.settle()
    expect(world.made).toHaveLength(2)
    expect(world.condition('Ready')).toMatchObject({ status: 'True' })
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

  const pod = (container: object) => ({ spec: { containers: [{ name: 'a', ...container }] } })
  const env = (value: string) => pod({ env: [{ name: 'SIZE', value }] })
  const egress = (ports: object[]) => ({ spec: { egress: [{ ports }] } })
  const [dns, web] = [
    { protocol: 'UDP', port: 53 },
    { protocol: 'TCP', port: 80 },
  ]
  const port = { port: 80, protocol: 'TCP' }

  test.each([
    ['a quantity written another way', { requests: { cpu: '1' } }, { requests: { cpu: '1000m' } }, true],
    ['a value of the environment that is the same number', env('10'), env('10.0'), false],
    ['an empty value that is not stored', {}, { a: '', b: [], c: {}, d: false }, true],
    ['a false that was made true', { a: true }, { a: false }, false],
    ['a container that somebody has added', { spec: { containers: [{ name: 'b' }, { name: 'a' }] } }, pod({}), true],
    ['a container that is gone', { spec: { containers: [{ name: 'b' }] } }, pod({}), false],
    [
      'a port of a Service that somebody has added',
      { spec: { ports: [port, dns] } },
      { spec: { ports: [port] } },
      true,
    ],
    ['a port whose protocol was filled in', { spec: { ports: [port] } }, { spec: { ports: [{ port: 80 }] } }, true],
    ['a port of a policy that somebody has added', egress([dns, web]), egress([dns]), false],
    ['a rule of a policy that somebody has added', { spec: { egress: [{}] } }, { spec: { egress: [] } }, false],
    ['a narrower rule of a policy', egress([{ ...dns, endPort: 60 }]), egress([dns]), false],
    [
      'a label that a Service also asks for',
      { spec: { selector: { a: '1', b: '2' } } },
      { spec: { selector: { a: '1' } } },
      false,
    ],
    [
      'a selector of everything that selects little',
      { spec: { podSelector: { matchLabels: { a: '1' } } } },
      { spec: { podSelector: {} } },
      false,
    ],
    [
      'a label of an object that somebody has added',
      { metadata: { labels: { a: '1', b: '2' } } },
      { metadata: { labels: { a: '1' } } },
      true,
    ],
    ['an order that counts', ['b', 'a'], ['a', 'b'], false],
  ])('%s', (_what, live, wanted, expected) => expect(covers(live, wanted)).toBe(expected))

  /** Everything in an object that is a list, with the names of the fields on the way to it. */
  function listsIn(value: unknown, path: string): [path: string, list: unknown[]][] {
    if (Array.isArray(value)) return [[path, value], ...value.flatMap((entry) => listsIn(entry, path))]
    if (typeof value !== 'object' || value === null) return []
    return Object.entries(value).flatMap(([key, entry]) => listsIn(entry, path === '' ? key : `${path}.${key}`))
  }

  test('lets others add to the lists of children that the API server merges, and to no other', () => {
    const world = new World(instanceOf({ api: { autoscaling: { maxReplicas: 4 } }, image: { pullSecrets: [] } }))
    world.settle()
    const shared = world.children.flatMap((child) => {
      const live = structuredClone(child)
      return listsIn(live, '').flatMap(([path, list]) => {
        list.push({ name: 'theirs', uid: 'theirs', mountPath: '/theirs', port: 1, containerPort: 1 })
        const isCovered = covers(live, child)
        list.pop()
        return isCovered ? `${child.kind} ${path.replace('spec.template.spec', 'pod')}` : []
      })
    })
    const ofPods = ['containers', 'containers.ports', 'containers.volumeMounts', 'volumes'].map((list) => `pod.${list}`)
    const initial = ['initContainers', 'initContainers.volumeMounts'].map((list) => `StatefulSet pod.${list}`)
    expect(new Set(shared.filter((list) => !list.endsWith('metadata.ownerReferences')))).toEqual(
      new Set([
        'Service spec.ports',
        ...ofPods.flatMap((list) => [`Deployment ${list}`, `StatefulSet ${list}`]),
        'Deployment pod.containers.env',
        ...initial,
      ]),
    )
  })
})
