import { beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { killPod, killProgram } from './kit/faults.ts'
import { useNamespace } from './kit/namespace.ts'
import { ensureOperator, Instance, leader, OPERATOR_SPACE } from './kit/operator.ts'
import { tryKubectl } from './kubectl.ts'

/** Kills in all; OPERATOR_KILLS=100 is the long form. */
const KILLS = Number(process.env.OPERATOR_KILLS ?? 8)
const SEED = Number(process.env.SEED ?? Date.now() % 1_000_000)
const LATEST_KILL_MS = 4_000

const space = useNamespace('kill')
let crawl: Instance

beforeAll(ensureOperator)

/** A small generator of chance that a seed repeats (mulberry32). */
function chance(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

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

describe(`kill -9 of the operator at ${KILLS} random points (seed ${SEED})`, () => {
  test(
    'always converges, and does nothing twice',
    async () => {
      const random = chance(SEED)
      crawl = await Instance.create(space, {})
      let token = 0
      let changes = 0
      const act = async () => {
        changes += 1
        const kind = Math.floor(random() * 3)
        if (kind === 0) token += 1
        const annotations: Record<string, string> = token > 0 ? { 'storage.sonoma.dev/run': `migrate-${token}` } : {}
        const replicas = kind === 1 ? 1 + Math.floor(random() * 2) : 2
        await crawl.apply({ api: { replicas, logLevel: kind === 2 ? 'warn' : 'info' } }, annotations)
      }
      for (let kill = 0; kill < KILLS; kill += 1) {
        if (kill > 0) await act()
        await new Promise((resolve) => setTimeout(resolve, random() * LATEST_KILL_MS))
        await killOperator()
        if (kill % 3 === 2) await crawl.ready(180)
      }
      await crawl.ready(180)
      const { jobs } = await facts()
      console.log(`seed ${SEED}: ${KILLS} kills, ${changes} changes, ${token} asked runs, Jobs: ${jobs.join(' ')}`)
      // One for the creation and one for each token that was seen; old Jobs are tidied away, none is made twice.
      expect(new Set(jobs).size).toBe(jobs.length)
      expect(jobs.length).toBeLessThanOrEqual(1 + token)
      const { conditions } = (await crawl.get()).status ?? {}
      expect(conditions?.find(({ type }) => type === 'Stalled')).toMatchObject({ status: 'False' })
    },
    120_000 + KILLS * 60_000,
  )

  test('the credentials are those of the beginning: the database was entered with them all the time', async () => {
    const before = await facts()
    await killOperator()
    await crawl.apply({ api: { logLevel: 'error' } })
    await crawl.ready(180)
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

describe('the cluster itself is hurt', () => {
  const isServing = async () => (await tryKubectl(['get', '--raw', '/readyz', '--request-timeout=2s'])).code === 0

  test('etcd, the API server and the kubelet are killed while an instance is made: it becomes ready', async () => {
    const other = await Instance.create(space, { api: { replicas: 1 } }, 'other')
    for (const program of ['kubelet', 'etcd', 'kube-apiserver'] as const) {
      await killProgram(program)
      await eventually(isServing, { timeoutMs: 90_000, intervalMs: 500 })
    }
    await other.ready(240)
    const jobs = await space.list('jobs', 'app.kubernetes.io/instance=other')
    expect(jobs).toHaveLength(1)
  })
})
