import { describe, expect, test } from 'vitest'
import { childrenOf } from '../../../operator/plan/children/table.ts'
import { instanceOf, requestOf, World } from '../plan/world.ts'
import { Cluster } from './cluster.ts'

const looks = ({ asked }: Cluster) => asked.filter(({ verb }) => verb === 'GET')

describe('what is observed', () => {
  test('of names that no cache knows is asked for, of Secrets the metadata only', async () => {
    const cluster = new Cluster()
    await cluster.reconcile()
    const asked = looks(cluster).map(({ kind, name, isWhole }) => `${kind}/${name}${isWhole ? '' : ' (metadata)'}`)
    expect(asked.sort()).toEqual([
      'ConfigMap/crawl-api',
      'ConfigMap/crawl-db',
      'Deployment/crawl-api',
      'EndpointSlice/kubernetes',
      'Namespace/kube-system (metadata)',
      'NetworkPolicy/crawl-api',
      'NetworkPolicy/crawl-db',
      'NetworkPolicy/crawl-tasks',
      'PersistentVolumeClaim/crawl-data-1',
      'PodDisruptionBudget/crawl-api',
      'Secret/crawl-db (metadata)',
      'Secret/crawl-db-backup (metadata)',
      'Secret/crawl-db-tls (metadata)',
      'Secret/crawl-hash-key (metadata)',
      'Service/crawl-api',
      'Service/crawl-db',
      'Service/crawl-metrics',
      'ServiceAccount/crawl-api',
      'StatefulSet/crawl-db',
    ])
  })

  test('of somebody else, and so in no cache, is not written to', async () => {
    const world = new World()
    const theirs = { name: 'crawl-metrics', namespace: 'search', uid: 'theirs' }
    world.put({ apiVersion: 'v1', kind: 'Service', metadata: theirs, spec: { ports: [{ port: 1 }] } })
    const service = world.find('Service', 'crawl-metrics')
    const before = structuredClone(service)
    const cluster = new Cluster(world)
    await cluster.settle()
    expect(service).toEqual(before)
    expect(world.condition('Stalled')).toMatchObject({ status: 'True', reason: 'ForeignObject' })
  })

  test('of a Secret is its content only where its credentials matter, and once in each of its versions', async () => {
    const cluster = new Cluster()
    const whole: (string | undefined)[] = []
    await cluster.settle(() => {
      whole.push(...looks(cluster).flatMap(({ kind, name, isWhole }) => (kind === 'Secret' && isWhole ? [name] : [])))
      cluster.world.flourish()
    })
    expect(whole.sort()).toEqual(['crawl-db', 'crawl-hash-key'])
  })

  test.each(['busy', 'unreachable', 'forbidden'] as const)(
    'incompletely, because the API server is %s, is no reason to change anything',
    async (fault) => {
      const names = childrenOf(new World().observed()).length
      for (let at = 0; at < names; at += 1) {
        const cluster = new Cluster()
        cluster.faults = [...new Array(at).fill(undefined), fault]
        expect(await cluster.reconcile()).toHaveProperty('error')
        expect(cluster.world.children).toEqual([])
        expect(cluster.writes.filter((write) => write !== 'PATCH StorageInstance/crawl')).toEqual([])
      }
    },
  )

  test('of a paused instance is not acted on, whatever is missing', async () => {
    const cluster = new Cluster(new World(instanceOf({ paused: true })))
    cluster.world.requests = [requestOf('StorageBackup')]
    await cluster.settle()
    expect(cluster.world.children).toEqual([])
    expect(cluster.world.condition('Ready')).toMatchObject({ reason: 'Paused' })
    expect(cluster.world.requests[0]?.status).toBeUndefined()
  })
})
