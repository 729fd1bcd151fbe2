import { beforeAll, describe, expect, test } from 'vitest'
import { fillVolume, killPod } from './kit/faults.ts'
import { growVolume } from './kit/grow-volume.ts'
import { useNamespace } from './kit/namespace.ts'
import { service } from './kit/objects.ts'
import { ensureOperator, Instance } from './kit/operator.ts'

const space = useNamespace('trouble')
/** One pod of each, and a volume of a class that cannot grow. */
const smallWith = (managed: object) => ({
  api: { replicas: 1 },
  database: { managed: { storage: sized('512Mi'), ...managed } },
})
const sized = (size: string, storageClassName = 'loop') => ({ size, storageClassName })
const small = smallWith({})

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
    await crawl.apply({ ...small, api: { replicas: 1, podTemplate: { nodeSelector: { disk: 'golden' } } } })
    const condition = await crawl.until('Stalled', { status: 'True', reason: 'PodsUnschedulable' })
    expect(condition.message).toContain('nodeSelector')
    expect(await crawl.condition('ApiAvailable')).toMatchObject({ status: 'True', reason: 'ApiDegraded' })
    await crawl.apply(small)
    await crawl.ready()
  })

  test('a parameter that PostgreSQL refuses, in its own words, goes no further than a Job: the database serves on', async () => {
    const crawl = Instance.at(space, 'crawl')
    const pod = () => space.kubectl('get', 'pod', 'crawl-db-0', '-o', 'jsonpath={.metadata.uid}')
    const before = await pod()
    const wrong = [
      [{ work_mem: 'much' }, /invalid value for parameter "work_mem": "much"/],
      // It can be read; only a start shows that there is no such memory, at once or when it is used.
      [{ shared_buffers: '4TB' }, /could not map anonymous shared memory|more memory than its limit/],
    ] as const
    for (const [parameters, words] of wrong) {
      await crawl.apply(smallWith({ parameters }))
      const condition = await crawl.until('Stalled', { status: 'True', reason: 'ParameterRefused' })
      expect(condition.message).toMatch(words)
      expect(condition.message).toContain('The database keeps its old settings.')
      expect(await crawl.condition('DatabaseReachable')).toMatchObject({ status: 'True' })
      expect(await crawl.condition('ApiAvailable')).toMatchObject({ status: 'True', reason: 'ApiAvailable' })
    }
    expect(await pod()).toBe(before)
    await crawl.apply(smallWith({ parameters: { work_mem: '8MB' } }))
    await crawl.ready()
    expect(await pod()).not.toBe(before)
    expect(await space.exec('crawl-db-0', ['psql', '-XAtU', 'postgres', '-c', 'SHOW work_mem'])).toBe('8MB')
  })

  test('a parameter that PostgreSQL refuses at the first start; and one that is ours, by its name', async () => {
    const early = await Instance.create(space, smallWith({ parameters: { work_mem: 'much' } }), 'early')
    const refused = await early.until('DatabaseReachable', { status: 'False', reason: 'ParameterRefused' })
    expect(refused.message).toContain('work_mem')
    await early.apply(small)
    await early.ready()
    await space.kubectl('delete', early.target)
    const crawl = Instance.at(space, 'crawl')
    const owned = crawl.apply(smallWith({ parameters: { Listen_Addresses: '' } }))
    await expect(owned).rejects.toThrow('parameters names a setting that the operator owns')
    await crawl.apply(small)
    await crawl.ready()
  })

  test('a volume that is full; and the way out is a larger one, of a class that can grow', async () => {
    const inMemory = (size: string) => smallWith({ storage: sized(size, 'memory') })
    const full = await Instance.create(space, inMemory('256Mi'), 'full')
    await full.ready()
    await fillVolume(space, 'full-db-0', '/var/lib/postgresql/data')
    await killPod(space, 'full-db-0')
    const condition = await full.until('DatabaseReachable', { status: 'False', reason: 'DatabaseOutOfDisk' })
    expect(condition.message).toContain('increase spec.database.managed.storage.size')
    await full.apply(inMemory('512Mi'))
    await space.wait('pvc/full-data-1', { path: '{.spec.resources.requests.storage}', value: '512Mi' })
    await growVolume(space, 'full-data-1')
    await full.ready()
    expect((await full.get()).status?.database).toMatchObject({ volumeSize: '512Mi' })
    const filesystem = await space.exec('full-db-0', ['df', '--output=size', '-m', '/var/lib/postgresql/data'])
    expect(Number(filesystem.split('\n').at(-1))).toBe(512)
    await space.kubectl('delete', full.target)
  })

  test('a volume of a class that cannot grow; and the wish for a larger one can be taken back, no further', async () => {
    const crawl = Instance.at(space, 'crawl')
    const started = () => space.kubectl('get', 'pod', 'crawl-db-0', '-o', 'jsonpath={.metadata.uid}')
    const before = await started()
    await crawl.apply(smallWith({ storage: sized('1Gi') }))
    const condition = await crawl.until('Stalled', { status: 'True', reason: 'VolumeNotGrown' })
    expect(condition.message).toMatch(/crawl-data-1 stays at 512Mi: .*must support resize/)
    expect(condition.message).toContain('set spec.database.managed.storage.size back to 512Mi')
    await expect(crawl.apply(smallWith({ storage: sized('256Mi') }))).rejects.toThrow('the volume cannot shrink')
    await crawl.apply(small)
    await crawl.ready()
    // Nothing of that is worth a restart.
    expect(await started()).toBe(before)
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
