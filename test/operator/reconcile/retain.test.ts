import { describe, expect, test } from 'vitest'
import { CHILD_ANNOTATIONS } from '../../../operator/desired/annotations.ts'
import { instanceOf, World } from '../plan/world.ts'
import { Cluster, type Fault } from './cluster.ts'

/** What is left of an instance that was deleted. */
async function left(spec: object = {}, metadata: object = {}): Promise<Cluster> {
  const cluster = new Cluster(new World(instanceOf(spec, metadata)))
  await cluster.settle()
  cluster.deleteInstance()
  cluster.sync()
  cluster.asked.length = 0
  return cluster
}

const told = ({ events }: Cluster) => events.filter(({ reason }) => reason === 'DataRetained')
const noteOf = ({ world }: Cluster) =>
  world.find('PersistentVolumeClaim', 'crawl-data-1')?.metadata.annotations?.[CHILD_ANNOTATIONS.retainedFrom]

describe('the claim of a deleted instance', () => {
  test('is told of once, with what to do', async () => {
    const cluster = await left()
    await cluster.settle()
    expect(told(cluster)).toMatchObject([{ type: 'Normal', regarding: { metadata: { name: 'crawl-data-1' } } }])
    expect(told(cluster)[0]?.message).toContain('kubectl delete pvc crawl-data-1')
    expect(noteOf(cluster)).toBe('uid-1')
    cluster.restart()
    await cluster.settle()
    expect(told(cluster)).toHaveLength(1)
  })

  test.each<Fault>(['busy', 'forbidden', 'unreachable', 'unheard'])(
    'is told of in the end where noting that is %s',
    async (fault) => {
      const cluster = await left()
      cluster.faults = [fault]
      expect(await cluster.reconcile()).toHaveProperty('error')
      await cluster.settle()
      expect(told(cluster).length).toBeGreaterThan(0)
      expect(noteOf(cluster)).toBe('uid-1')
    },
  )

  test('is told of again where another instance of the name has used it and is deleted', async () => {
    const cluster = await left()
    await cluster.settle()
    cluster.createInstance()
    await cluster.settle()
    cluster.deleteInstance()
    await cluster.settle()
    expect(told(cluster)).toHaveLength(2)
    expect(noteOf(cluster)).toBe('uid-1-again')
  })

  test('goes with it, and nothing is told, where that was asked for and confirmed', async () => {
    const annotations = { 'storage.sonoma.dev/confirm-delete': 'crawl' }
    const cluster = await left({ deletionPolicy: 'Delete' }, { annotations })
    await cluster.settle()
    expect(told(cluster)).toEqual([])
    expect(cluster.world.children).toEqual([])
  })

  test('is let alone while it is being deleted itself', async () => {
    const cluster = await left()
    const claim = cluster.world.find('PersistentVolumeClaim', 'crawl-data-1')
    Object.assign(claim?.metadata ?? {}, { deletionTimestamp: '2026-11-23T02:20:00Z' })
    await cluster.settle()
    expect(told(cluster)).toEqual([])
    expect(noteOf(cluster)).toBeUndefined()
  })
})
