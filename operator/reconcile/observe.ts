import type { KubeObject } from '../api/object.ts'
import type { StorageInstance } from '../api/storage-instance.ts'
import { databaseOf } from '../api/unions.ts'
import {
  directSecret,
  ownerSecret,
  replicationSecret,
  type SecretKey,
  serviceSecret,
} from '../desired/database/access.ts'
import { hashKeySecret } from '../desired/hash-key.ts'
import type { KubeClient } from '../kube/client.ts'
import { keyOf } from '../kube/object.ts'
import { resourceOf } from '../kube/resources.ts'
import { liveDeployment } from '../plan/api/service.ts'
import { CHILD_KINDS, childrenOf } from '../plan/children/table.ts'
import { liveDatabase } from '../plan/database/live.ts'
import type { Deployment, Job, Pod, StatefulSet } from '../plan/live-objects.ts'
import { findChild, findOwn, type Observed, type Release, type RunRequest, type SecretState } from '../plan/observed.ts'
import { nameSecret } from '../plan/served-secret.ts'
import { unexplained } from '../plan/unexplained.ts'
import { windowAt } from '../runtime/window.ts'
import type { ApiServerPorts } from './api-server-ports.ts'
import type { ClusterIdentity } from './cluster-identity.ts'
import type { LastEvents } from './last-events.ts'
import { readRuns } from './live-runs.ts'
import { INSTANCE_INDEX, type ReconcilerParts } from './parts.ts'
import type { SchemaReadings } from './schema-readings.ts'
import type { Reading, SecretReadings } from './secret-readings.ts'

type Parts = Pick<ReconcilerParts, 'client' | 'caches' | 'clock' | 'config'> & { readings: Readings }
/** What is remembered between two looks at the same world. */
export type Readings = {
  schemas: SchemaReadings
  secrets: SecretReadings
  cluster: ClusterIdentity
  ports: ApiServerPorts
  events: LastEvents
}

/** Gathers all that a plan goes by, once. What the caches hold is read from them; the rest is asked for. */
export async function observe(parts: Parts, instance: StorageInstance, signal: AbortSignal): Promise<Observed> {
  const { caches, clock, readings } = parts
  const key = keyOf(instance)
  const cached = CHILD_KINDS.flatMap((kind) => caches[kind].byIndex(INSTANCE_INDEX, key))
  const children = [...cached, ...(await findUncached(parts.client, { instance, children: cached }, signal))]
  const secrets = await readSecrets(parts, { instance, children }, signal)
  const now = clock.now()
  const window = windowAt(instance.spec.maintenance.window, now)
  const world = {
    now,
    instance,
    ...(window && { window }),
    release: await readRelease(parts, signal),
    children,
    requests: readRequests(caches, key),
    ...(await readRuns(parts.client, instance, { cached: cachedRuns(caches, key), signal })),
    ...secrets,
    schemaReading: undefined,
  }
  const lastEvents = await readings.events.read(parts.client, unexplained(world), { now: world.now, signal })
  return { ...world, lastEvents, schemaReading: readings.schemas.read(world) }
}

/** The StorageBackups and StorageRestores that name an instance (`namespace/name`), whether it is there or not. */
export function readRequests({ StorageBackup, StorageRestore }: Parts['caches'], key: string): RunRequest[] {
  return [StorageBackup, StorageRestore].flatMap((cache) => cache.byIndex(INSTANCE_INDEX, key)) as RunRequest[]
}

async function readRelease({ client, clock, config, readings }: Parts, signal: AbortSignal): Promise<Release> {
  const clusterId = config.clusterId ?? (await readings.cluster.read(client, signal))
  const apiServerPorts = config.apiServerPorts ?? (await readings.ports.read(client, clock.now(), signal))
  return {
    serviceImage: config.images.service,
    postgresImage: config.images.postgres,
    operatorNamespace: config.namespace,
    ...(clusterId !== undefined && { clusterId }),
    ...(apiServerPorts !== undefined && { apiServerPorts }),
  }
}

function cachedRuns(caches: Parts['caches'], key: string): { jobs: Job[]; pods: Pod[] } {
  const [jobs, pods] = [caches.Job.byIndex(INSTANCE_INDEX, key), caches.Pod.byIndex(INSTANCE_INDEX, key)]
  return { jobs: jobs as Job[], pods: pods as Pod[] }
}

type World = Pick<Observed, 'instance' | 'children'>

/** The caches hold only what has our label: before something is made, its name is looked up, since it may be taken. */
async function findUncached(client: KubeClient, cached: World, signal: AbortSignal): Promise<KubeObject[]> {
  const { namespace } = cached.instance.metadata
  const missing = childrenOf(cached).filter(
    ({ kind, name }) => findChild(cached, { kind, metadata: { name } }) === undefined,
  )
  const found = await Promise.all(
    missing.map((child) => {
      const options = { signal, metadataOnly: child.kind === 'Secret' }
      return client.get(resourceOf(child), namespace, child.name, options)
    }),
  )
  return found.flatMap((object, index) => {
    const { apiVersion = '', kind = '' } = missing[index] ?? {}
    // An answer with metadata alone has another kind.
    return object === undefined ? [] : [{ ...object, apiVersion, kind }]
  })
}

type Secrets = Pick<Observed, 'serviceSecret' | 'ownerSecret' | 'directSecret' | 'replicationSecret' | 'secretDigest'>

async function readSecrets(parts: Parts, world: World, signal: AbortSignal): Promise<Secrets> {
  const { instance } = world
  const hashKey = await readHashKey(parts, world, signal)
  const { namespace = '' } = instance.metadata
  const read = (at: { name: string; key?: string }) =>
    parts.readings.secrets.read(parts, { namespace, ...at }, { hashKey, signal })
  const [service, owner, direct] = [serviceSecret(instance), ownerSecret(instance), directSecret(instance)]
  if (databaseOf(instance.spec).kind === 'Managed') {
    const reading: Reading = hasSecret(world, owner.name) ? await read({ name: owner.name }) : { state: 'missing' }
    const { state, digest } = named(reading, liveDatabase(world))
    return { serviceSecret: state, ownerSecret: state, secretDigest: digest }
  }
  const { state, digest } = named(await read(service), liveDeployment(world))
  const ownerState = isSame(owner, service) ? state : named(await read(owner)).state
  const directState = direct && (isSame(direct, owner) ? ownerState : named(await read(direct)).state)
  const replication = replicationSecret(instance)
  const others = {
    ...(directState && { directSecret: directState }),
    ...(replication && { replicationSecret: named(await read(replication)).state }),
  }
  return { serviceSecret: state, ownerSecret: ownerState, ...others, secretDigest: digest }
}

function isSame(one: SecretKey, other: SecretKey): boolean {
  return one.name === other.name && one.key === other.key
}

async function readHashKey(parts: Parts, world: World, signal: AbortSignal): Promise<string | undefined> {
  const { name, namespace = '' } = hashKeySecret(world.instance).metadata
  if (!hasSecret(world, name)) return undefined
  return parts.readings.secrets.readHashKey(parts, { namespace, name }, signal)
}

function hasSecret(world: World, name: string): boolean {
  return findOwn(world, { kind: 'Secret', metadata: { name } }) !== undefined
}

/** A reading as a plan sees it: with the word that the pods carry, where it stands for the same content. */
function named(reading: Reading, live?: StatefulSet | Deployment): { state: SecretState; digest?: string } {
  if (reading.state !== 'usable') return { state: reading }
  const { state, digest: hash, former, port } = reading
  const { version, digest } = nameSecret({ digest: hash, former }, live)
  return { state: { state, version, ...(port && { port }) }, digest }
}
