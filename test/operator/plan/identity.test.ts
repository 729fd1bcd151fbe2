import { describe, expect, test } from 'vitest'
import { CHILD_ANNOTATIONS } from '../../../operator/desired/annotations.ts'
import { servedOptions } from '../../../operator/plan/database/live.ts'
import type { Claim, StatefulSet } from '../../../operator/plan/live-objects.ts'
import { instanceOf, World } from './world.ts'

const claimOf = (world: World, name: string) => world.find<Claim>('PersistentVolumeClaim', name)
const markOf = (world: World, name: string) =>
  claimOf(world, name)?.metadata.annotations?.[CHILD_ANNOTATIONS.currentData]

function served(world: World): string | undefined {
  const set = world.find<StatefulSet>('StatefulSet', 'crawl-db')
  return set && servedOptions(set).claimName
}

/** A world whose data is in the second claim, as a restore leaves it. */
function restored(): World {
  const world = new World()
  world.settle()
  const { status } = world.instance
  if (status?.database) status.database.claimName = 'crawl-data-2'
  world.settle()
  return world
}

describe('the claim with the data', () => {
  test('says so, and the one before it does not any more', () => {
    const world = new World()
    world.settle()
    expect(markOf(world, 'crawl-data-1')).toBe('true')
    const { spec } = claimOf(world, 'crawl-data-1') ?? {}
    world.instance = restored().instance
    world.settle()
    expect([markOf(world, 'crawl-data-1'), markOf(world, 'crawl-data-2')]).toEqual(['false', 'true'])
    expect(served(world)).toBe('crawl-data-2')
    expect(claimOf(world, 'crawl-data-1')?.spec).toEqual(spec)
  })

  test('is found again where the status is lost', () => {
    const world = restored()
    const claims = structuredClone([claimOf(world, 'crawl-data-1'), claimOf(world, 'crawl-data-2')])
    const { status: _, ...instance } = world.instance
    world.instance = instance
    world.settle()
    expect([served(world), world.instance.status?.database?.claimName]).toEqual(['crawl-data-2', 'crawl-data-2'])
    expect([claimOf(world, 'crawl-data-1'), claimOf(world, 'crawl-data-2')]).toEqual(claims)
  })

  test('is found again by an instance that is made anew from its file', () => {
    const world = restored()
    world.children = world.children.filter(({ kind }) => kind === 'PersistentVolumeClaim')
    world.instance = instanceOf({}, { uid: 'uid-2' })
    world.settle()
    expect([served(world), world.instance.status?.database?.claimName]).toEqual(['crawl-data-2', 'crawl-data-2'])
    expect(world.condition('Ready')).toMatchObject({ status: 'True' })
  })

  test('is the newest where two say so: a swap was cut off', () => {
    const world = restored()
    Object.assign(claimOf(world, 'crawl-data-1')?.metadata.annotations ?? {}, {
      [CHILD_ANNOTATIONS.currentData]: 'true',
    })
    const { status: _, ...instance } = world.instance
    world.instance = instance
    world.settle()
    expect(served(world)).toBe('crawl-data-2')
    expect([markOf(world, 'crawl-data-1'), markOf(world, 'crawl-data-2')]).toEqual(['false', 'true'])
  })

  test('of somebody else has no say', () => {
    const world = restored()
    const theirs = { apiVersion: 'v1', kind: 'PersistentVolumeClaim', spec: {} }
    const annotations = { [CHILD_ANNOTATIONS.currentData]: 'true' }
    world.put({ ...theirs, metadata: { name: 'crawl-data-9', namespace: 'search', annotations } })
    const { status: _, ...instance } = world.instance
    world.instance = instance
    world.settle()
    expect(served(world)).toBe('crawl-data-2')
  })

  test('is part of what a migration is for: the schema of another one may be older', () => {
    const world = restored()
    expect(world.made.filter((name) => name.includes('-migrate-'))).toHaveLength(2)
    expect(world.condition('Ready')).toMatchObject({ status: 'True' })
  })
})

describe('a run that is asked for', () => {
  const ask = (world: World, token?: string) => {
    world.instance.metadata.annotations = token === undefined ? {} : { 'storage.sonoma.dev/run': token }
    world.settle()
    return world.made.length
  }

  test('is not repeated when the annotation asks for one of another kind, or for none', () => {
    const world = new World()
    world.settle()
    expect(ask(world, 'migrate-1')).toBe(2)
    expect(ask(world, 'maintain-1')).toBe(2)
    expect(ask(world)).toBe(2)
    expect(ask(world, 'maintain-2')).toBe(2)
    expect(world.instance.status?.runTokens).toEqual({ migrate: 'migrate-1' })
    expect(ask(world, 'migrate-2')).toBe(3)
  })

  test('is not forgotten with another kind that is handled', () => {
    const world = new World()
    world.settle()
    ask(world, 'migrate-1')
    const { status } = world.instance
    if (status) status.runTokens = { ...status.runTokens, maintain: 'maintain-1' }
    expect(ask(world, 'maintain-1')).toBe(2)
    expect(world.instance.status?.runTokens).toEqual({ migrate: 'migrate-1', maintain: 'maintain-1' })
  })

  test('is known from the status of an earlier version of the operator', () => {
    const world = new World()
    world.settle()
    ask(world, 'migrate-1')
    const { runTokens: _, ...status } = world.instance.status ?? { observedGeneration: 1 }
    world.instance = { ...world.instance, status: { ...status, lastRunToken: 'migrate-1' } }
    expect(ask(world)).toBe(2)
  })
})
