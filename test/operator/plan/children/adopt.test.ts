import { describe, expect, test } from 'vitest'
import { LABELS } from '../../../../operator/api/labels.ts'
import type { KubeObject } from '../../../../operator/api/object.ts'
import type { StatefulSet } from '../../../../operator/plan/live-objects.ts'
import { instanceOf, START, World } from '../world.ts'

const all = (world: World): KubeObject[] => [...world.children, ...world.jobs]
const isData = ({ kind }: KubeObject) => kind === 'PersistentVolumeClaim'

/** A settled world whose instance was deleted with `--cascade=orphan` and made again. */
function recreated(): World {
  const world = new World()
  world.settle()
  for (const { metadata } of all(world)) delete metadata.ownerReferences
  world.instance = instanceOf({}, { uid: 'uid-2' })
  world.pass(10)
  return world
}

describe('an instance that was deleted without its children and made again', () => {
  test('adopts all of them, makes nothing anew and restarts nothing', () => {
    const world = recreated()
    const template = () => JSON.stringify(world.find<StatefulSet>('StatefulSet', 'crawl-db')?.spec?.template)
    const [before, uids] = [template(), world.children.map(({ metadata }) => metadata.uid).sort()]
    world.settle()
    expect(world.condition('Ready')).toMatchObject({ status: 'True' })
    expect(world.children.map(({ metadata }) => metadata.uid).sort()).toEqual(uids)
    expect(template()).toBe(before)
    const owners = all(world).filter((child) => !isData(child))
    expect(owners.map(({ metadata }) => metadata.ownerReferences?.map(({ uid }) => uid))).toEqual(
      owners.map(() => ['uid-2']),
    )
    expect(world.find('PersistentVolumeClaim', 'crawl-data-1')?.metadata.ownerReferences).toBeUndefined()
  })

  test.each<[string, (live: KubeObject) => void]>([
    ['names no instance', ({ metadata }) => Object.assign(metadata, { labels: {} })],
    [
      'names another instance',
      ({ metadata }) => Object.assign(metadata, { labels: { ...metadata.labels, [LABELS.storageInstance]: 'other' } }),
    ],
    [
      'has another owner',
      ({ metadata }) =>
        Object.assign(metadata, { ownerReferences: [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'x', uid: 'x' }] }),
    ],
  ])('leaves alone what %s', (_what, change) => {
    for (const [kind, name] of [
      ['Secret', 'crawl-db'],
      ['ConfigMap', 'crawl-api'],
      ['Deployment', 'crawl-api'],
    ] as const) {
      const world = recreated()
      const live = world.find(kind, name) as KubeObject
      change(live)
      const before = JSON.stringify(live)
      for (let round = 0; round < 5; round += 1) world.step()
      expect(JSON.stringify(world.find(kind, name))).toBe(before)
      expect(world.condition('Ready')).toMatchObject({ status: 'False' })
    }
  })

  test('waits for what is being deleted', () => {
    const world = recreated()
    const secret = world.find('Secret', 'crawl-db') as KubeObject
    Object.assign(secret.metadata, { deletionTimestamp: START.toISOString() })
    world.step()
    expect(secret.metadata.ownerReferences).toBeUndefined()
  })
})
