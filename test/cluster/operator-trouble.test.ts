import { beforeAll, describe, expect, test } from 'vitest'
import { fillVolume, killPod } from './kit/faults.ts'
import { useNamespace } from './kit/namespace.ts'
import { service } from './kit/objects.ts'
import { ensureOperator, Instance } from './kit/operator.ts'

const space = useNamespace('trouble')
const small = { api: { replicas: 1 } }

beforeAll(() => ensureOperator())

describe('each trouble ends in a condition that says what to do', () => {
  test('a child whose name is taken is not touched; when the stranger goes, the child is made', async () => {
    await space.apply(service('crawl-api', { http: 1 }))
    const crawl = await Instance.create(space, small)
    const condition = await crawl.until('Stalled', { status: 'True', reason: 'ForeignObject' })
    expect(condition.message).toMatch(/Service crawl-api .* Delete or rename it/)
    await space.kubectl('delete', 'service', 'crawl-api')
    await crawl.ready()
    const made = await space.get('service/crawl-api')
    expect(made.metadata.labels).toMatchObject({ 'app.kubernetes.io/managed-by': 'sonoma-storage-operator' })
  })

  test('pods that no node takes; and the way out is a correction of the spec', async () => {
    const crawl = Instance.at(space, 'crawl')
    await crawl.apply({ api: { replicas: 1, podTemplate: { nodeSelector: { disk: 'golden' } } } })
    const condition = await crawl.until('Stalled', { status: 'True', reason: 'PodsUnschedulable' })
    expect(condition.message).toContain('nodeSelector')
    expect(await crawl.condition('ApiAvailable')).toMatchObject({ status: 'True', reason: 'ApiDegraded' })
    await crawl.apply(small)
    await crawl.ready()
  })

  test('a parameter that PostgreSQL refuses, in its own words; and one that is ours, by its name', async () => {
    const crawl = Instance.at(space, 'crawl')
    await crawl.apply({ ...small, database: { managed: { parameters: { work_mem: 'much' } } } })
    const refused = await crawl.until('DatabaseReachable', { status: 'False', reason: 'ParameterRefused' })
    expect(refused.message).toContain('work_mem')
    const owned = crawl.apply({ ...small, database: { managed: { parameters: { Listen_Addresses: '' } } } })
    await expect(owned).rejects.toThrow('parameters names a setting that the operator owns')
    await crawl.apply(small)
    await crawl.ready()
  })

  test('a volume that is full', async () => {
    const storage = { size: '256Mi', storageClassName: 'loop' }
    const full = await Instance.create(space, { ...small, database: { managed: { storage } } }, 'full')
    await full.ready()
    await fillVolume(space, 'full-db-0', '/var/lib/postgresql/data')
    await killPod(space, 'full-db-0')
    const condition = await full.until('DatabaseReachable', { status: 'False', reason: 'DatabaseOutOfDisk' })
    expect(condition.message).toContain('spec.database.managed.storage.size')
    await space.kubectl('delete', full.target)
  })

  test('paused: a child that is deleted stays away until the pause ends', async () => {
    const crawl = Instance.at(space, 'crawl')
    await crawl.apply({ ...small, paused: true })
    await crawl.until('Ready', { status: 'Unknown', reason: 'Paused' })
    await space.kubectl('delete', 'service', 'crawl-metrics')
    await crawl.apply({ ...small, paused: true, api: { replicas: 1, logLevel: 'warn' } })
    await crawl.until('Ready', { status: 'Unknown', reason: 'Paused' })
    expect(await space.kubectl('get', 'service', '-o', 'name')).not.toContain('crawl-metrics')
    await crawl.apply(small)
    await space.wait('service/crawl-metrics', { path: '{.metadata.name}', value: 'crawl-metrics' })
    await crawl.ready()
  })
})
