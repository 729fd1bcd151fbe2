import { KubeConfig } from '@kubernetes/client-node'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CRDS } from '../../operator/api/crds.ts'
import type { KubeObject } from '../../operator/api/object.ts'
import { KubeClient } from '../../operator/kube/client.ts'
import { KubeConnection } from '../../operator/kube/connection.ts'
import { LEASES } from '../../operator/kube/resources.ts'
import { Transport } from '../../operator/kube/transport.ts'
import { SystemClock } from '../../operator/process/system-clock.ts'
import { seed } from '../fault/form.ts'
import { Random } from '../fault/random.ts'
import { eventually } from '../support/eventually.ts'
import type { Call } from './api-gate.ts'
import { KeptReplica, SHORT_LEASE } from './kept-replica.ts'
import { applyObjects, useNamespace } from './kit/namespace.ts'
import { Instance } from './kit/operator.ts'
import { servedBy } from './kit/served.ts'
import { useNoOperator } from './kit/without-operator.ts'
import { activeKubeconfig, kubectl } from './kubectl.ts'

/** Fights in all; the long form has them again and again. */
const FIGHTS = process.env.OPERATOR_FAULTS === 'long' ? 50 : 5
const LEASE = 'sonoma-storage-operator'
/** Of SHORT_LEASE. A replica stops a second before; that is what its last calls may take to the gate. */
const LEASE_MS = 4_000
/** Within which a leader of SHORT_LEASE learns that somebody has edited it: a renewal with its calls, on a busy machine. */
const LEARNS_MS = 2_000
const TIMES = { timeoutMs: 30_000 }

type Lease = KubeObject & { spec: { holderIdentity: string; renewTime: string } }

const space = useNamespace('fight')
useNoOperator()
const clock = new SystemClock()
const random = new Random(seed)
let client: KubeClient
let connection: KubeConnection
let replicas: KeptReplica[] = []
let crawl: Instance

beforeAll(async () => {
  const config = new KubeConfig()
  config.loadFromFile(activeKubeconfig())
  connection = new KubeConnection(config, clock)
  client = new KubeClient(new Transport({ connection, clock, random: () => random.next(), timeoutMs: 10_000 }))
  await applyObjects(CRDS as unknown as Parameters<typeof applyObjects>[0])
  for (const { metadata } of CRDS) await kubectl(['wait', '--for=condition=Established', `crd/${metadata.name}`])
  replicas = await Promise.all(['first', 'second'].map((name) => KeptReplica.start(name, space, SHORT_LEASE)))
})

afterAll(async () => {
  await Promise.all(replicas.map((replica) => replica.stop()))
  await connection.close()
})

const lease = async () => client.get<Lease>(LEASES, space.name, LEASE)
const holderOf = (held: Lease | undefined) => held?.spec.holderIdentity.split('_')[0] ?? ''

const LEADS = '{name="storageinstance"}'

/** The replica that leads: it renews the lease now, and not only until the former one's would have ended. */
async function leader(): Promise<KeptReplica> {
  const before = await lease()
  return eventually(async () => {
    const held = await lease()
    const found = replicas.find(({ name }) => name === holderOf(held))
    if (found === undefined || held?.spec.renewTime === before?.spec.renewTime) throw new Error('Nobody leads.')
    if ((await found.process.metric('leader_election_master_status'))[LEADS] !== 1) throw new Error('It waits to lead.')
    return found
  }, TIMES)
}

/** Writes over whoever holds the lease; it may be renewed meanwhile. */
async function giveLeaseTo(holderIdentity: string): Promise<void> {
  await client.patch({ resource: LEASES, namespace: space.name, name: LEASE }, { spec: { holderIdentity } })
}

/** When somebody edited the lease so that another replica may have it at once. */
const freedAtMs: number[] = []

/** Whoever holds it may make it again meanwhile. */
async function deleteLease(): Promise<void> {
  const before = await lease()
  await client.delete(LEASES, space.name, LEASE)
  await eventually(async () => {
    const made = await lease()
    expect(made).toBeDefined()
    expect(made?.metadata.uid).not.toBe(before?.metadata.uid)
  }, TIMES)
}

/** What is done to the replica that leads, or to its lease. */
const FIGHT: Record<string, () => Promise<void>> = {
  freeze: async () => {
    const frozen = await leader()
    frozen.process.signal('SIGSTOP')
    const { exited } = frozen.process
    await eventually(async () => expect(['', frozen.name]).not.toContain(holderOf(await lease())), TIMES)
    frozen.process.signal('SIGCONT')
    expect(await exited).toBe(3)
  },
  delete: async () => {
    await leader()
    await client.delete(LEASES, space.name, LEASE)
  },
  deleteTwice: async () => {
    await leader()
    await deleteLease()
    await client.delete(LEASES, space.name, LEASE)
  },
  steal: async () => {
    await leader()
    await giveLeaseTo('nobody')
  },
  free: async () => {
    await leader()
    freedAtMs.push(performance.now())
    await giveLeaseTo('')
  },
}

const levelOf = (fight: number) => (fight % 2 === 1 ? 'warn' : 'info')
const isLease = ({ path }: Call) => path.includes('/leases/')
const isDone = ({ answered }: Call) => answered === 200 || answered === 201
/** Times at which a replica had or renewed the lease. */
const renewals = ({ gate }: KeptReplica) =>
  gate.calls.filter((call) => call.method !== 'GET' && isLease(call) && isDone(call)).map(({ atMs }) => atMs)
const writes = ({ gate }: KeptReplica) => gate.calls.filter((call) => call.method !== 'GET' && !isLease(call))
const lastBefore = (times: number[], atMs: number) => times.findLast((time) => time <= atMs) ?? Number.NEGATIVE_INFINITY

/** Writes of a replica after its lease had ended. */
function lateWrites(replica: KeptReplica): Call[] {
  const renewed = renewals(replica)
  return writes(replica).filter(({ atMs }) => atMs - lastBefore(renewed, atMs) > LEASE_MS)
}

/** Only where somebody has edited the lease may both write, until the former leader renews the next time. */
const blamed = (replica: KeptReplica) =>
  writes(replica).filter(({ atMs }) => atMs - lastBefore(freedAtMs, atMs) >= LEARNS_MS)

/** Writes of a replica after another one has written, with no renewal of its own in between. */
function overlaps(replica: KeptReplica, other: KeptReplica): Call[] {
  const own = renewals(replica)
  const others = blamed(other).map(({ atMs }) => atMs)
  return blamed(replica).filter(({ atMs }) => lastBefore(others, atMs) > lastBefore(own, atMs))
}

/** The run that was asked for last has succeeded, and the pods have what was wanted last. */
async function expectLastChange(): Promise<void> {
  const { status } = await crawl.get()
  const token = `migrate-${FIGHTS - 1}`
  expect(status).toMatchObject({ runTokens: { migrate: token }, runs: { migrate: { phase: 'Succeeded' } } })
  expect(await servedBy(space, crawl)).toMatchObject({ logLevel: levelOf(FIGHTS - 1) })
}

describe(`two replicas fight for the lease ${FIGHTS} times, while an instance is made and changed`, () => {
  test("nobody writes when its lease has ended or is another one's, and nothing is done twice", async () => {
    await leader()
    const ways = Object.values(FIGHT)
    crawl = await Instance.create(space, { api: { replicas: 1 } })
    for (let fight = 0; fight < FIGHTS; fight += 1) {
      await ways[fight % ways.length]?.()
      await crawl.apply(
        { api: { replicas: 1, logLevel: levelOf(fight) } },
        { 'storage.sonoma.dev/run': `migrate-${fight}` },
      )
    }
    await eventually(expectLastChange, { timeoutMs: 120_000 })
    await crawl.ready(180)
    const made = (plural: string) => replicas.flatMap(({ gate }) => gate.made(plural))
    const [first, second] = replicas as [KeptReplica, KeptReplica]
    const restarts = replicas.map((replica) => replica.restarts)
    console.log(
      `${FIGHTS} fights, restarts ${restarts.join(' + ')}, ${replicas.flatMap(writes).length} writes, Jobs: ${made('jobs').length}`,
    )
    expect([...lateWrites(first), ...lateWrites(second)]).toEqual([])
    expect([...overlaps(first, second), ...overlaps(second, first)]).toEqual([])
    expect(made('secrets')).toHaveLength(4)
    expect(new Set(made('jobs')).size).toBe(made('jobs').length)
    expect(made('jobs').length).toBeLessThanOrEqual(2 + FIGHTS)
    // Each fight but for the deletions costs the one that led its process.
    expect(Math.max(...restarts)).toBeGreaterThan(0)
  })
})
