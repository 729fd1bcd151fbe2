import { beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { Client } from './kit/client.ts'
import { useNamespace } from './kit/namespace.ts'
import { provideNextImage } from './kit/next-image.ts'
import type { KubeObject } from './kit/objects.ts'
import { ensureOperator, Instance } from './kit/operator.ts'
import { startSteadyLoad } from './kit/steady-load.ts'

const space = useNamespace('upgrade')
const good = {
  number: '0098',
  name: 'next',
  up: '-- phase: expand\nALTER TABLE public.documents ADD COLUMN next_note text;\nSELECT pg_sleep(3);\n',
  down: 'ALTER TABLE public.documents DROP COLUMN next_note;\n',
}
const contract = {
  number: '0099',
  name: 'contract',
  up: '-- phase: contract\nALTER TABLE public.documents DROP COLUMN next_note;\n',
  down: 'ALTER TABLE public.documents ADD COLUMN next_note text;\n',
}
const bad = {
  number: '0099',
  name: 'broken',
  up: '-- phase: expand\nALTER TABLE public.documents ADD COLUMN broken_note no_such_type;\n',
  down: 'SELECT 1;\n',
}
let crawl: Instance
let client: Client
let tags: { good: string; bad: string }

beforeAll(async () => {
  await ensureOperator()
  crawl = await Instance.create(space)
  tags = {
    good: await provideNextImage('next', [good, contract]),
    bad: await provideNextImage('broken', [bad]),
  }
  client = await Client.start(space, 'loader')
  await crawl.ready()
})

type Deployment = Awaited<ReturnType<typeof space.get>> & {
  spec: { template: { spec: { containers: { image: string }[] } } }
}

type Pod = KubeObject & { spec: { containers: { image: string }[] } }

async function imageOf(): Promise<string> {
  const { spec } = await space.get<Deployment>('deployment/crawl-api')
  return spec.template.spec.containers[0]?.image ?? ''
}

async function migrations(): Promise<string[]> {
  const jobs = await space.list('jobs', 'app.kubernetes.io/component=migrate')
  return jobs.map(({ metadata }) => metadata.name).sort()
}

/** A pod that is told to end still answers what it has begun. */
async function formerPodsAreGone(): Promise<void> {
  const isFormer = ({ spec }: Pod) => !spec.containers[0]?.image.endsWith(tags.good)
  await eventually(
    async () => {
      const pods = await space.list<Pod>('pods', 'app.kubernetes.io/component=api')
      expect(pods.filter(isFormer)).toEqual([])
    },
    { timeoutMs: 90_000, intervalMs: 500 },
  )
}

describe('an image with a migration in it', () => {
  test('whose migration fails leaves the pods as they are, and says why, where the log is and what to do', async () => {
    const before = await imageOf()
    await crawl.apply({ image: { tag: tags.bad } })
    const condition = await crawl.until('SchemaUpToDate', { status: 'False', reason: 'MigrationFailed' })
    const [, job = ''] = await migrations()
    expect(condition.message).toContain('no_such_type')
    expect(condition.message).toContain(`kubectl logs job/${job}`)
    expect(await crawl.condition('Stalled')).toMatchObject({ status: 'True', reason: 'MigrationFailed' })
    expect(await crawl.condition('ApiAvailable')).toMatchObject({ status: 'True' })
    expect(await imageOf()).toBe(before)
    expect(await space.logs(`job/${job}`)).toContain('no_such_type')
    expect(await space.kubectl('get', 'events')).toContain('MigrationFailed')
    expect((await client.fetch(`${crawl.url}/readyz`)).status).toBe(200)
  })

  test('is rolled out under load without one failed request: the migration first, once, and then the pods', async () => {
    await crawl.apply({})
    await crawl.ready()
    const former = await migrations()
    const load = await startSteadyLoad(client, crawl.url)
    const appliedAtMs = Date.now()
    await crawl.apply({ image: { tag: tags.good } })
    await crawl.until('SchemaUpToDate', { status: 'False', reason: 'MigrationRunning' })
    expect(await imageOf()).not.toContain(tags.good)
    await crawl.ready()
    expect(await imageOf()).toContain(tags.good)
    await formerPodsAreGone()
    const rolledOutAtMs = Date.now()
    const { requests, failures, startedAtMs, endedAtMs } = await load.end()
    console.log(`rolled out after ${rolledOutAtMs - appliedAtMs} ms, ${requests} requests, ${failures.length} failed`)
    expect(failures).toEqual([])
    expect(requests).toBeGreaterThan(200)
    expect(startedAtMs).toBeLessThan(appliedAtMs)
    expect(endedAtMs).toBeGreaterThan(rolledOutAtMs)
    expect((await migrations()).filter((name) => !former.includes(name))).toHaveLength(1)
    expect((await crawl.get()).status?.schema?.version).toBe(good.number)
  })

  test('and back, to an older one: the schema allows that as long as nothing was removed', async () => {
    await crawl.apply({})
    await crawl.ready()
    expect(await imageOf()).not.toContain(tags.good)
    expect((await crawl.get()).status?.schema?.version).toBe(good.number)
    await crawl.apply({ image: { tag: tags.good } })
    await crawl.ready()
  })

  test('removes something only when that is approved, after the pods; then the older image is refused', async () => {
    expect(await crawl.condition('SchemaUpToDate')).toMatchObject({ status: 'True', reason: 'ContractPending' })
    const approved = { migrations: { approveContract: [contract.number] } }
    await crawl.apply({ image: { tag: tags.good }, ...approved })
    await crawl.until('SchemaUpToDate', { status: 'True', reason: 'SchemaUpToDate' })
    expect((await crawl.get()).status?.schema?.version).toBe(contract.number)
    await crawl.apply(approved)
    const condition = await crawl.until('SchemaUpToDate', { status: 'False', reason: 'SchemaTooNew' })
    expect(condition.message).toContain(`${contract.number}_${contract.name}`)
    expect(await imageOf()).toContain(tags.good)
    expect(await crawl.condition('ApiAvailable')).toMatchObject({ status: 'True' })
  })
})
