import { describe, expect, test } from 'vitest'
import { CHILD_ANNOTATIONS } from '../../../operator/desired/annotations.ts'
import type { Deployment, StatefulSet } from '../../../operator/plan/live-objects.ts'
import { plan, stepsOf } from '../../../operator/plan/plan.ts'
import { World } from './world.ts'

const DAY = 86_400
const LIFE_DAYS = 3_650

const doings = (world: World) =>
  stepsOf(plan(world.observed())).flatMap((step) => (step.actions ?? []).map((a) => a.do))
const noteOf = (object: Deployment | StatefulSet | undefined) =>
  object?.spec?.template?.metadata?.annotations?.[CHILD_ANNOTATIONS.certificate]
const service = (world: World) => world.find<Deployment>('Deployment', 'crawl-api')
const server = (world: World) => world.find<StatefulSet>('StatefulSet', 'crawl-db')
const secret = (world: World) => world.find('Secret', 'crawl-db-tls')

function settled(): World {
  const world = new World()
  world.settle()
  return world
}

describe('the certificate of a managed database', () => {
  test('is left alone until 90 days before its end, and the pods carry no note of it', () => {
    const world = settled()
    expect(secret(world)?.metadata.annotations?.[CHILD_ANNOTATIONS.expires]).toBe('2036-11-20T02:15:00Z')
    world.pass((LIFE_DAYS - 91) * DAY)
    expect(doings(world)).toEqual([])
    expect([noteOf(service(world)), noteOf(server(world))]).toEqual([undefined, undefined])
  })

  test('is renewed once, in the version of the Secret that was seen', () => {
    const world = settled()
    Object.assign(secret(world)?.metadata ?? {}, { resourceVersion: '7' })
    world.pass((LIFE_DAYS - 90) * DAY)
    const [action] = stepsOf(plan(world.observed())).flatMap((step) => step.actions ?? [])
    expect(action).toMatchObject({ do: 'renew', object: { metadata: { name: 'crawl-db-tls', resourceVersion: '7' } } })
    world.settle()
    expect(doings(world)).toEqual([])
    world.pass((LIFE_DAYS - 91) * DAY)
    expect(doings(world)).toEqual([])
    world.pass(DAY)
    expect(doings(world)).toEqual(['renew'])
  })

  test('is served only when every pod of the service trusts it', () => {
    const world = settled()
    world.pass((LIFE_DAYS - 90) * DAY)
    world.step()
    const renewed = secret(world)?.metadata.annotations?.[CHILD_ANNOTATIONS.certificate]
    expect(renewed).toBeDefined()
    const before = service(world)?.status
    Object.assign(service(world) ?? {}, { status: { ...before, updatedReplicas: 1 } })
    world.step()
    world.step()
    expect([noteOf(service(world)), noteOf(server(world))]).toEqual([renewed, undefined])
    Object.assign(service(world) ?? {}, { status: before })
    world.settle()
    expect([noteOf(service(world)), noteOf(server(world))]).toEqual([renewed, renewed])
    expect(world.condition('Ready')).toMatchObject({ status: 'True' })
    expect(world.made).toHaveLength(1)
  })

  test('waits with its restart for the maintenance window, but not until the old one is about to end', () => {
    const world = settled()
    Object.assign(secret(world)?.metadata ?? {}, { creationTimestamp: world.now.toISOString() })
    world.window = { state: 'closed' }
    world.pass((LIFE_DAYS - 90) * DAY)
    world.settle()
    const renewed = noteOf(service(world))
    expect([renewed, noteOf(server(world))]).toEqual([expect.any(String), undefined])
    expect(world.condition('Ready')).toMatchObject({ status: 'True', reason: 'RestartPending' })
    world.pass(59 * DAY)
    world.settle()
    expect(noteOf(server(world))).toBeUndefined()
    world.pass(2 * DAY)
    world.settle()
    expect(noteOf(server(world))).toBe(renewed)
  })

  test('of a Secret without a note counts from when that was made', () => {
    const world = settled()
    const metadata = { annotations: {}, creationTimestamp: '2026-11-23T02:15:00Z' }
    Object.assign(secret(world)?.metadata ?? {}, metadata)
    world.pass((LIFE_DAYS - 91) * DAY)
    expect(doings(world)).toEqual([])
    world.pass(DAY)
    expect(doings(world)).toEqual(['renew'])
  })

  test('is looked at every day', () => {
    const world = settled()
    expect(plan(world.observed()).steps.database?.requeueAfterMs).toBe(DAY * 1_000)
  })
})
