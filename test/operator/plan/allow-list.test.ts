import { beforeEach, describe, expect, test } from 'vitest'
import { CHILD_ANNOTATIONS } from '../../../operator/desired/annotations.ts'
import type { Manifest } from '../../../operator/desired/child.ts'
import { World } from './world.ts'

const CRAWLER = { namespace: 'search', serviceAccount: 'crawler', access: 'Write' }

let world: World

beforeEach(() => {
  world = new World()
  world.settle()
})

function live(): Manifest {
  const found = world.find<Manifest>('ConfigMap', 'crawl-api')
  if (!found) throw new Error('There is no list.')
  return found
}

function list(): object[] {
  return JSON.parse((live().data as Record<string, string>)['allow.json'] ?? '')
}

function allow(...accounts: object[]): void {
  world.change({ api: { auth: { allow: accounts } } })
  world.settle()
}

describe('the list of those who may call', () => {
  test('is empty where it never named anybody, which lets the own namespace in', () => {
    expect(list()).toEqual([])
    allow()
    expect(list()).toEqual([])
    expect(live().metadata.annotations).not.toHaveProperty(CHILD_ANNOTATIONS.allowList)
  })

  test('is as the spec says while it names somebody', () => {
    allow(CRAWLER)
    expect(list()).toEqual([CRAWLER])
  })

  test('names nobody once its last entry was removed, also for pods that start later, until it names somebody again', () => {
    allow(CRAWLER)
    allow()
    expect(list()).toEqual([{ namespace: 'search', serviceAccount: '-', access: 'Read' }])
    world.change({ api: { auth: { mode: 'None' } } })
    world.settle()
    allow()
    expect(list()).toMatchObject([{ serviceAccount: '-' }])
    allow({ ...CRAWLER, access: 'Read' })
    expect(list()).toEqual([{ ...CRAWLER, access: 'Read' }])
  })

  test('is not taken for one that was filled because somebody edited it', () => {
    live().data = { 'allow.json': JSON.stringify([CRAWLER]) }
    world.settle()
    expect(list()).toEqual([])
  })

  test('begins anew where its note is taken off', () => {
    allow(CRAWLER)
    allow()
    delete live().metadata.annotations?.[CHILD_ANNOTATIONS.allowList]
    world.settle()
    expect(list()).toEqual([])
  })
})
