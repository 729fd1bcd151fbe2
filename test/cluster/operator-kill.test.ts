import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { JOBS, SECRETS } from '../../operator/kube/resources.ts'
import { seed } from '../fault/form.ts'
import { Random } from '../fault/random.ts'
import { eventually } from '../support/eventually.ts'
import { KillStory } from './kill-story.ts'
import { closeApiServer, killPod, killProgram } from './kit/faults.ts'
import { useNamespace } from './kit/namespace.ts'
import { provideNextImage } from './kit/next-image.ts'
import { ObjectRecord } from './kit/object-record.ts'
import type { KubeObject } from './kit/objects.ts'
import { ensureOperator, Instance, leader, OPERATOR_PODS, OPERATOR_SPACE } from './kit/operator.ts'
import { startPostgres } from './kit/postgres.ts'
import { servedBy } from './kit/served.ts'
import { tryKubectl } from './kubectl.ts'

/** Kills in all; OPERATOR_KILLS=100 is the long form. */
const KILLS = Number(process.env.OPERATOR_KILLS ?? 9)
/** How long nobody reaches the API server; always longer than the lease. */
const AWAY_SECONDS = process.env.OPERATOR_FAULTS === 'long' ? 60 : 15
/** A leader that is killed gives nothing back: its lease has to run out before the next kill. */
const SHORT_LEASE = { LEASE_DURATION: '5s', LEASE_RENEW_DEADLINE: '3s', LEASE_RETRY_PERIOD: '500ms' }
const MIGRATION = {
  number: '0097',
  name: 'killed',
  up: '-- phase: expand\nALTER TABLE public.documents ADD COLUMN killed_note text;\nSELECT pg_sleep(2);\n',
  down: 'ALTER TABLE public.documents DROP COLUMN killed_note;\n',
}
const LATEST_KILL_MS = 4_000

const space = useNamespace('kill')
let crawl: Instance

/** kill -9 of the replica that works; its pod is replaced, or the kubelet would start it later after each kill. */
async function killOperator(): Promise<void> {
  const kill = async () => {
    const pod = await leader()
    await killPod(OPERATOR_SPACE, pod)
    await OPERATOR_SPACE.kubectl('delete', 'pod', pod, '--force', '--grace-period=0', '--wait=false')
  }
  // The lease may name one that is gone, until the other one takes it.
  await eventually(kill, { timeoutMs: 60_000, intervalMs: 250 })
}

/** What must never change, and the runs that there were. */
async function facts(): Promise<{ secret: string; jobs: string[] }> {
  const jobs = await space.list('jobs', 'app.kubernetes.io/component=migrate')
  const secret = await space.kubectl('get', 'secret', 'crawl-db', '-o', 'jsonpath={.metadata.uid}/{.data}')
  return { secret, jobs: jobs.map(({ metadata }) => metadata.name) }
}

const namesOf = (record: ObjectRecord, owner: string) => record.of(owner).map(({ name }) => name)

describe(`kill -9 of the operator at ${KILLS} random points (seed ${seed})`, () => {
  let runs: ObjectRecord
  let trials: ObjectRecord
  let credentials: ObjectRecord
  let nextTag: string

  beforeAll(async () => {
    await Promise.all([ensureOperator(SHORT_LEASE), startPostgres(space)])
    nextTag = await provideNextImage('killed', [MIGRATION])
    runs = await ObjectRecord.start(space, JOBS, 'app.kubernetes.io/component=migrate')
    trials = await ObjectRecord.start(space, JOBS, 'app.kubernetes.io/component=settings')
    credentials = await ObjectRecord.start(space, SECRETS, 'app.kubernetes.io/component=database')
  })

  afterAll(() => Promise.all([runs, trials, credentials].map((record) => record.stop())))

  test(
    'always converges, and does nothing twice',
    async () => {
      const random = new Random(seed)
      const story = new KillStory(space, random, nextTag)
      crawl = story.crawl
      await story.begin()
      for (let kill = 0; kill < KILLS; kill += 1) {
        if (kill > 0) await story.act()
        await new Promise((resolve) => setTimeout(resolve, random.next() * LATEST_KILL_MS))
        await killOperator()
        if (kill % 4 === 3) await story.settle()
      }
      await story.settle()
      console.log(`seed ${seed}: ${KILLS} kills, changes ${JSON.stringify(story.counts)}`)
      const namesIn = (record: ObjectRecord) => story.lives.map(({ uid }) => namesOf(record, uid))
      const [made, tried, issued] = [namesIn(runs), namesIn(trials), namesIn(credentials)]
      console.log(story.lives.map(({ name, reasons }, i) => `${name} ${made[i]?.length}/${reasons}`).join(', '))
      for (const names of [...made, ...tried]) expect(new Set(names).size).toBe(names.length)
      expect(story.lives.filter(({ reasons }, i) => (made[i]?.length ?? 0) > reasons)).toEqual([])
      console.log(
        story.lives.map(({ name, settings }, i) => `${name} tried ${tried[i]?.length}/${settings}`).join(', '),
      )
      expect(story.lives.filter(({ settings }, i) => (tried[i]?.length ?? 0) > settings)).toEqual([])
      // Credentials, a certificate and the login for backups, one of each, unless it was deleted before.
      expect(issued.filter((names) => new Set(names).size < names.length || names.length > 3)).toEqual([])
      for (const instance of [story.crawl, story.outer])
        expect(await instance.condition('Stalled')).toMatchObject({ status: 'False' })
    },
    240_000 + KILLS * 60_000,
  )

  test('the credentials are those of the beginning: the database was entered with them all the time', async () => {
    const before = await facts()
    await killOperator()
    await space.kubectl('patch', crawl.target, '--type=merge', '-p', '{"spec":{"api":{"logLevel":"error"}}}')
    await crawl.ready(180)
    expect(await servedBy(space, crawl)).toMatchObject({ logLevel: 'error' })
    expect(await facts()).toEqual(before)
    const restarts = await space.kubectl(
      'get',
      'pod',
      'crawl-db-0',
      '-o',
      'jsonpath={.status.containerStatuses[0].restartCount}',
    )
    expect(restarts).toBe('0')
  })
})

type OperatorPod = KubeObject & { status: { containerStatuses: { restartCount: number }[] } }

/** How often the container of each pod of the operator was started again. */
async function operatorRestarts(): Promise<Map<string, number>> {
  const pods = await OPERATOR_SPACE.list<OperatorPod>('pods', OPERATOR_PODS)
  return new Map(pods.map(({ metadata, status }) => [metadata.name, status.containerStatuses[0]?.restartCount ?? 0]))
}

/** One run of each kind was made, and they succeed: the operator is content as soon as its task has, a moment before its Job says so. */
async function expectOneOfEachRun(instance: string): Promise<void> {
  const runs = () =>
    space.list<KubeObject & { status: { succeeded?: number } }>('jobs', `app.kubernetes.io/instance=${instance}`)
  const kinds = (await runs()).map(({ metadata }) => metadata.labels?.['app.kubernetes.io/component'])
  expect(kinds.sort()).toEqual(['migrate', 'provision'])
  const succeeded = { status: { succeeded: 1 } }
  await eventually(async () => expect(await runs()).toMatchObject([succeeded, succeeded]))
}

describe('the cluster itself is hurt', () => {
  const isServing = async () => (await tryKubectl(['get', '--raw', '/readyz', '--request-timeout=2s'])).code === 0

  beforeAll(async () => {
    await ensureOperator()
    await crawl.ready(180)
  })

  test('etcd, the API server and the kubelet are killed while an instance is made: it becomes ready', async () => {
    const other = await Instance.create(space, { api: { replicas: 1 } }, 'other')
    for (const program of ['kubelet', 'etcd', 'kube-apiserver'] as const) {
      await killProgram(program)
      await eventually(isServing, { timeoutMs: 90_000, intervalMs: 500 })
    }
    await other.ready(240)
    await expectOneOfEachRun('other')
  })

  test(`the API server is away for ${AWAY_SECONDS} s while an instance is made and another is changed`, async () => {
    await leader()
    const [before, former] = [await facts(), await operatorRestarts()]
    const late = await Instance.create(space, { api: { replicas: 1 } }, 'late')
    await crawl.apply({ api: { replicas: 1, logLevel: 'debug' } })
    await closeApiServer(AWAY_SECONDS)
    await eventually(async () => !(await isServing()))
    await eventually(isServing, { timeoutMs: (AWAY_SECONDS + 60) * 1_000, intervalMs: 500 })
    const backAt = performance.now()
    await Promise.all([late.ready(180), crawl.ready(180)])
    expect(await servedBy(space, crawl)).toMatchObject({ replicas: 1, logLevel: 'debug' })
    const seconds = ((performance.now() - backAt) / 1_000).toFixed(1)
    const restarted = [...(await operatorRestarts())].filter(([pod, count]) => count > (former.get(pod) ?? 0))
    console.log(`ready ${seconds} s after the API server was back; restarted: ${JSON.stringify(restarted)}`)
    expect((await facts()).secret).toBe(before.secret)
    await expectOneOfEachRun('late')
    // The one that led ends with its lease, once; the other one waits.
    const [pod = '', count = 0] = restarted[0] ?? []
    expect([restarted.length, count - (former.get(pod) ?? 0)]).toEqual([1, 1])
    const last = await OPERATOR_SPACE.kubectl('logs', `pod/${pod}`, '--previous', '--tail=1')
    expect(JSON.parse(last)).toMatchObject({ level: 'fatal', reason: 'LeaseLost' })
  })
})
