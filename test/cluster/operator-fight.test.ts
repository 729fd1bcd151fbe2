import { KubeConfig } from '@kubernetes/client-node'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CRDS } from '../../operator/api/crds.ts'
import type { KubeObject } from '../../operator/api/object.ts'
import { KubeClient } from '../../operator/kube/client.ts'
import { KubeConnection } from '../../operator/kube/connection.ts'
import { LEASES } from '../../operator/kube/resources.ts'
import { Transport } from '../../operator/kube/transport.ts'
import { SystemClock } from '../../operator/process/system-clock.ts'
import { eventually } from '../support/eventually.ts'
import type { Call } from './api-gate.ts'
import { KeptReplica, SHORT_LEASE } from './kept-replica.ts'
import { applyObjects, useNamespace } from './kit/namespace.ts'
import { Instance } from './kit/operator.ts'
import { useNoOperator } from './kit/without-operator.ts'
import { activeKubeconfig, kubectl } from './kubectl.ts'

/** Fights in all; the long form has them again and again. */
const FIGHTS = process.env.OPERATOR_FAULTS === 'long' ? 48 : 4
const LEASE = 'sonoma-storage-operator'
/** Of SHORT_LEASE. A replica stops a second before; that is what its last calls may take to the gate. */
const LEASE_MS = 4_000
const TIMES = { timeoutMs: 30_000 }

type Lease = KubeObject & { spec: { holderIdentity: string; renewTime: string } }

const space = useNamespace('fight')
useNoOperator()
const clock = new SystemClock()
let client: KubeClient
let connection: KubeConnection
let replicas: KeptReplica[] = []
let crawl: Instance

beforeAll(async () => {
  const config = new KubeConfig()
  config.loadFromFile(activeKubeconfig())
  connection = new KubeConnection(config, clock)
  client = new KubeClient(new Transport({ connection, clock, random: Math.random, timeoutMs: 10_000 }))
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

/**
 * When somebody gave the lease free, or deleted it, which a replica that has just been started cannot tell from a lease that
 * nobody had: both may think for a while that they lead.
 */
const freedAtMs: number[] = []

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
    freedAtMs.push(performance.now())
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

/**
 * Writes of a replica after another one had the lease. Where somebody has taken it away, the replica knows only when it
 * renews the next time, or when the time of the last renewal is over.
 */
function overlaps(replica: KeptReplica, other: KeptReplica): Call[] {
  const [own, others] = [renewals(replica), renewals(other)]
  return writes(replica).filter(({ atMs }) => {
    const takenAtMs = lastBefore(others, atMs)
    const isExcused = takenAtMs - lastBefore(freedAtMs, takenAtMs) < LEASE_MS && atMs - takenAtMs < LEASE_MS
    return takenAtMs > lastBefore(own, atMs) && !isExcused
  })
}

describe(`two replicas fight for the lease ${FIGHTS} times, while an instance is made and changed`, () => {
  test("nobody writes when its lease has ended or is another one's, and nothing is done twice", async () => {
    await leader()
    crawl = await Instance.create(space, { api: { replicas: 1 } })
    for (let fight = 0; fight < FIGHTS; fight += 1) {
      await Object.values(FIGHT)[fight % 4]?.()
      await crawl.apply(
        { api: { replicas: 1, logLevel: fight % 2 ? 'warn' : 'info' } },
        { 'storage.sonoma.dev/run': `migrate-${fight}` },
      )
    }
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
