import { beforeAll, describe, expect, test } from 'vitest'
import { useNamespace } from './kit/namespace.ts'
import { ensureOperator, Instance } from './kit/operator.ts'

const space = useNamespace('pods')
/** Within which a trouble has to be told. */
const TOLD_SECONDS = 60
/** A quota of this kind refuses every pod that names no limit. */
const QUOTA = {
  apiVersion: 'v1',
  kind: 'ResourceQuota',
  metadata: { name: 'compute' },
  spec: { hard: { 'limits.cpu': '8' } },
}
const limited = (memory: string) => ({ resources: { requests: { cpu: '50m' }, limits: { cpu: '1', memory } } })
const managed = (more: object) => ({ storage: { size: '512Mi', storageClassName: 'loop' }, ...more })
const whole = {
  api: { replicas: 1, ...limited('512Mi') },
  database: { managed: managed(limited('1Gi')) },
  tasks: limited('512Mi'),
}

beforeAll(() => ensureOperator())

describe('pods that cannot be', () => {
  test('of PostgreSQL are told of in the words of the quota, and are there once the spec has been corrected', async () => {
    await space.apply(QUOTA)
    const crawl = await Instance.create(space, { ...whole, database: { managed: managed({}) } })
    const stalled = await crawl.until('Stalled', { status: 'True', reason: 'PodsNotCreated' }, TOLD_SECONDS)
    expect(stalled.message).toMatch(/StatefulSet crawl-db .*must specify limits.cpu/)
    await crawl.apply(whole)
    await crawl.ready()
  })

  test('of a Job are told of, too; the Job is replaced once the spec has been corrected', async () => {
    const crawl = Instance.at(space, 'crawl')
    await crawl.apply({ ...whole, tasks: {} }, { 'storage.sonoma.dev/run': 'migrate-1' })
    const stalled = await crawl.until('Stalled', { status: 'True', reason: 'PodsNotCreated' }, TOLD_SECONDS)
    expect(stalled.message).toMatch(/Job crawl-migrate-\d+ .*must specify limits.cpu/)
    expect(await crawl.condition('ApiAvailable')).toMatchObject({ status: 'True' })
    await crawl.apply(whole, { 'storage.sonoma.dev/run': 'migrate-1' })
    await crawl.ready()
  })

  test('mount a Secret that is missing say so, and start once it is there', async () => {
    const crawl = Instance.at(space, 'crawl')
    const auth = { mode: 'Token', tokensSecretRef: { name: 'tokens', key: 'tokens' } }
    await crawl.apply({ ...whole, api: { ...whole.api, auth } })
    const ready = await crawl.until('Ready', { status: 'False', reason: 'VolumeNotMounted' }, TOLD_SECONDS)
    expect(ready.message).toContain('secret "tokens" not found')
    const stringData = { tokens: 'admin a-token-for-this-test-alone tester\n' }
    await space.apply({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'tokens' }, stringData })
    // The kubelet tries again with pauses of up to two minutes.
    await crawl.ready(240)
  })

  test('have an image that nobody has say so, and the service goes on; so they do until the image is corrected', async () => {
    const crawl = Instance.at(space, 'crawl')
    await crawl.apply({ ...whole, image: { tag: 'nowhere' } })
    const stalled = await crawl.until('Stalled', { status: 'True', reason: 'ImagePullFailed' }, TOLD_SECONDS)
    expect(stalled.message).toMatch(/pod crawl-migrate-\d+-\w+ cannot be pulled.*sonoma-storage:nowhere/)
    expect(stalled.message).toContain('Correct image, or set image.pullSecrets.')
    expect(await crawl.condition('ApiAvailable')).toMatchObject({ status: 'True' })
    await crawl.apply(whole)
    await crawl.ready()
  })

  test('crash say so in their last words, and the service goes on with the pods that it has', async () => {
    const crawl = Instance.at(space, 'crawl')
    const env = [{ name: 'SHED_BYTES', value: 'much' }]
    await crawl.apply({ ...whole, api: { ...whole.api, podTemplate: { env } } })
    // The kubelet starts one again after 10, 20 and 40 s.
    const stalled = await crawl.until('Stalled', { status: 'True', reason: 'PodCrashing' }, 90)
    expect(stalled.message).toMatch(/The pod crawl-api-[-\w]+ exited with code 2: .*SHED_BYTES/s)
    const [, look = ''] = /See: kubectl (logs \S+ --all-containers --previous)/.exec(stalled.message) ?? []
    expect(await space.kubectl(...look.split(' '))).toContain('SHED_BYTES')
    expect(await crawl.condition('ApiAvailable')).toMatchObject({ status: 'True', reason: 'ApiDegraded' })
    await crawl.apply(whole)
    await crawl.ready()
  })
})
