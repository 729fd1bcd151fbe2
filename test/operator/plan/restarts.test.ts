import { describe, expect, test } from 'vitest'
import type { Deployment, StatefulSet } from '../../../operator/plan/live-objects.ts'
import { plan } from '../../../operator/plan/plan.ts'
import { eventsOf } from '../../../operator/reconcile/condition-events.ts'
import { statusOf } from '../../../operator/reconcile/status.ts'
import { instanceOf, type PartialSpec, World } from './world.ts'

const OPENS = new Date('2026-11-24T03:00:00Z')
const CLOSED = { state: 'closed', opensAt: OPENS } as const
const withMemory = (value: string) => ({ database: { managed: { parameters: { work_mem: value } } } })

const template = (world: World) => world.find<StatefulSet>('StatefulSet', 'crawl-db')?.spec?.template
const serverImage = (world: World) => template(world)?.spec?.containers?.[0]?.image
const serviceImage = (world: World) =>
  world.find<Deployment>('Deployment', 'crawl-api')?.spec?.template?.spec?.containers?.[0]?.image
const files = (world: World) =>
  (world.find('ConfigMap', 'crawl-db') as unknown as { data: Record<string, string> }).data['postgresql.conf']

/** A settled world outside of its maintenance window. */
function settled(spec: PartialSpec = {}): World {
  const world = new World(instanceOf(spec))
  world.window = CLOSED
  world.settle()
  return world
}

function upgrade(world: World, postgresImage = 'sonoma-storage-postgres:2'): void {
  world.release = { ...world.release, postgresImage }
}

/** What an upgraded operator says at first: the message of the condition, and the events. */
function said(world: World): { message: string | undefined; events: string[] } {
  const status = statusOf(world.observed(), plan(world.observed()))
  const events = eventsOf(world.instance, status).map(({ reason, message }) => `${reason}: ${message}`)
  return { message: status.conditions?.find(({ type }) => type === 'DatabaseReachable')?.message, events }
}

describe('a restart that nobody asked for', () => {
  test('waits for the maintenance window, and the instance stays ready meanwhile', () => {
    const world = settled()
    upgrade(world)
    world.settle()
    expect(serverImage(world)).toBe('sonoma-storage-postgres:1')
    const pending = { status: 'True', reason: 'RestartPending' }
    expect(world.condition('Ready')).toMatchObject(pending)
    expect(world.condition('DatabaseReachable')).toMatchObject(pending)
    expect(world.condition('Ready')?.message).toBe(
      'The managed PostgreSQL accepts connections. It is going to be restarted, because its image changes from sonoma-storage-postgres:1 to sonoma-storage-postgres:2. It waits for the maintenance window, which opens at 2026-11-24T03:00:00Z.',
    )
    expect(world.condition('Stalled')).toMatchObject({ status: 'False' })
    expect(world.instance.status?.phase).toBe('Ready')
    const { requeueAfterMs = 0 } = plan(world.observed()).steps.database ?? {}
    expect(world.now.getTime() + requeueAfterMs).toBe(Math.min(world.now.getTime() + 86_400_000, OPENS.getTime()))
  })

  test('happens when the window opens, and says why', () => {
    const world = settled()
    upgrade(world)
    world.settle()
    world.window = { state: 'open' }
    const { message, events } = said(world)
    expect(message).toContain('because its image changes from sonoma-storage-postgres:1 to sonoma-storage-postgres:2')
    world.settle()
    expect(serverImage(world)).toBe('sonoma-storage-postgres:2')
    expect(world.condition('Ready')).toMatchObject({ status: 'True', reason: 'Ready' })
    expect(events).toEqual([expect.stringContaining('RestartPending: The managed PostgreSQL')])
  })

  test('needs no window where the instance has none', () => {
    const world = settled()
    world.window = undefined
    upgrade(world)
    expect(said(world).events[0]).toMatch(/^RestartPending: .* is about to be replaced, because its image changes/)
    world.settle()
    expect(serverImage(world)).toBe('sonoma-storage-postgres:2')
  })

  test('waits where nobody can tell when the window is, and says what to correct', () => {
    const world = settled()
    world.window = { state: 'invalid', problem: 'There is no time zone "Mars".' }
    upgrade(world)
    world.settle()
    expect(serverImage(world)).toBe('sonoma-storage-postgres:1')
    expect(world.condition('Ready')?.message).toContain('no time zone "Mars". Correct spec.maintenance.window.')
  })

  test('does not wait where the server is away: it may be what brings it back', () => {
    const world = settled()
    upgrade(world)
    world.settle()
    const set = world.find<StatefulSet>('StatefulSet', 'crawl-db')
    Object.assign(set ?? {}, { status: { ...set?.status, readyReplicas: 0 } })
    world.step()
    expect(serverImage(world)).toBe('sonoma-storage-postgres:2')
  })

  test('keeps no migration and no rollout of the service waiting', () => {
    const world = settled()
    upgrade(world)
    world.settle()
    world.change({ image: { tag: '2' }, api: { replicas: 3 } })
    world.settle()
    expect([serverImage(world), serviceImage(world)]).toEqual(['sonoma-storage-postgres:1', 'sonoma-storage:2'])
    expect(world.find<Deployment>('Deployment', 'crawl-api')?.spec?.replicas).toBe(3)
    expect(world.condition('Ready')).toMatchObject({ status: 'True', reason: 'RestartPending' })
  })

  test('because of settings of a new release leaves the files alone, which a crash would read, and tries them in the window', () => {
    const world = settled(withMemory('8MB'))
    // As if the release before had made other settings of the same spec.
    world.instance = { ...world.instance, spec: instanceOf(withMemory('9MB')).spec }
    world.settle()
    expect(files(world)).toContain("work_mem = '8MB'")
    expect(world.made.filter((name) => name.includes('settings'))).toEqual([])
    expect(world.condition('Ready')?.message).toContain('because its settings change. It waits')
    world.window = { state: 'open' }
    world.settle()
    expect(files(world)).toContain("work_mem = '9MB'")
    expect(world.made.filter((name) => name.includes('settings'))).toHaveLength(1)
    expect(world.condition('Ready')).toMatchObject({ status: 'True', reason: 'Ready' })
  })
})

describe('a restart that somebody asked for waits for no window, and brings along what waits:', () => {
  test.each<[string, (world: World) => void, string]>([
    ['settings', (world) => world.change(withMemory('9MB')), 'its settings change'],
    [
      'resources',
      (world) => world.change({ database: { managed: { resources: { limits: { memory: '2Gi' } } } } }),
      'its settings change and its resources change',
    ],
    [
      'credentials',
      (world) => {
        world.secretTurns += 1
      },
      'its credentials change',
    ],
    [
      'additions to its pod',
      (world) => world.change({ database: { managed: { podTemplate: { labels: { team: 'search' } } } } }),
      'the spec or this version of the operator makes its pod differently',
    ],
  ])('%s', (_what, ask, cause) => {
    const image = 'its image changes from sonoma-storage-postgres:1 to sonoma-storage-postgres:2'
    expect(causesOf(settled(), ask)).toBe(cause)
    const world = settled()
    upgrade(world)
    world.settle()
    expect(causesOf(world, ask)).toBe(`${image} and ${cause}`)
  })

  /** What is said while the server is restarted for what is asked for now. */
  function causesOf(world: World, ask: (world: World) => void): string | undefined {
    const before = template(world)
    ask(world)
    const messages: string[] = []
    world.settle(() => {
      messages.push(world.condition('DatabaseReachable')?.message ?? '')
      world.flourish()
    })
    expect(template(world)).not.toEqual(before)
    expect(world.condition('Ready')).toMatchObject({ status: 'True', reason: 'Ready' })
    return messages.flatMap((message) => /about to be replaced, because (.*)\.$/.exec(message)?.[1] ?? [])[0]
  }

  test('what somebody edited in its pod comes back', () => {
    const world = settled()
    Object.assign(template(world)?.spec?.containers?.[0] ?? {}, { image: 'theirs' })
    expect(said(world).message).toContain('because its pod was changed by something else, which is undone')
    world.settle()
    expect(serverImage(world)).toBe('sonoma-storage-postgres:1')
  })
})
