import type { KubeObject } from '../api/object.ts'
import type { StorageInstance } from '../api/storage-instance.ts'
import { databaseOf } from '../api/unions.ts'
import { ownerSecret, type SecretKey, serviceSecret } from '../desired/database/access.ts'
import type { KubeClient } from '../kube/client.ts'
import { keyOf } from '../kube/object.ts'
import { resourceOf } from '../kube/resources.ts'
import type { Job, Pod } from '../plan/live-objects.ts'
import type { Observed, SecretState } from '../plan/observed.ts'
import { wantedNames } from '../plan/wanted-names.ts'
import { type CacheName, INSTANCE_INDEX, type ReconcilerParts } from './parts.ts'
import type { SchemaReadings } from './schema-readings.ts'
import { type SecretReadings, secretVersion } from './secret-readings.ts'

const CHILD_CACHES: readonly CacheName[] = [
  'configMaps',
  'deployments',
  'horizontalPodAutoscalers',
  'networkPolicies',
  'persistentVolumeClaims',
  'podDisruptionBudgets',
  'secrets',
  'serviceAccounts',
  'services',
  'statefulSets',
]

type Parts = Pick<ReconcilerParts, 'client' | 'caches' | 'clock' | 'config'> & { readings: Readings }
/** What is remembered between two looks at the same world. */
export type Readings = { schemas: SchemaReadings; secrets: SecretReadings }

/** Gathers all that a plan goes by, once. What the caches hold is read from them; the rest is asked for. */
export async function observe(parts: Parts, instance: StorageInstance, signal: AbortSignal): Promise<Observed> {
  const { caches, clock, config, readings } = parts
  const key = keyOf(instance)
  const cached = CHILD_CACHES.flatMap((name) => caches[name].byIndex(INSTANCE_INDEX, key))
  const children = [...cached, ...(await findUncached(parts.client, instance, { cached, signal }))]
  const [service, owner] = await readSecrets(parts, instance, { children, signal })
  const world = {
    now: clock.now(),
    instance,
    release: {
      serviceImage: config.images.service,
      postgresImage: config.images.postgres,
      operatorNamespace: config.namespace,
    },
    children,
    pods: caches.pods.byIndex(INSTANCE_INDEX, key) as Pod[],
    jobs: caches.jobs.byIndex(INSTANCE_INDEX, key) as Job[],
    serviceSecret: service,
    ownerSecret: owner,
    schemaReading: undefined,
  }
  return { ...world, schemaReading: readings.schemas.read(world) }
}

type Reading = { signal: AbortSignal }

/** The caches hold only what has our label: before something is made, its name is looked up, since it may be taken. */
async function findUncached(
  client: KubeClient,
  instance: StorageInstance,
  { cached, signal }: Reading & { cached: KubeObject[] },
): Promise<KubeObject[]> {
  const isCached = (kind: string, name: string) =>
    cached.some((object) => object.kind === kind && object.metadata.name === name)
  const missing = wantedNames(instance).filter(({ kind, name }) => !isCached(kind, name))
  const found = await Promise.all(
    missing.map(({ apiVersion, kind, name }) => {
      const options = { signal, metadataOnly: kind === 'Secret' }
      return client.get(resourceOf({ apiVersion, kind }), instance.metadata.namespace, name, options)
    }),
  )
  return found.flatMap((object, index) => {
    const { apiVersion = '', kind = '' } = missing[index] ?? {}
    // An answer with metadata alone has another kind.
    return object === undefined ? [] : [{ ...object, apiVersion, kind }]
  })
}

async function readSecrets(
  parts: Parts,
  instance: StorageInstance,
  { children, signal }: Reading & { children: KubeObject[] },
): Promise<[service: SecretState, owner: SecretState]> {
  if (databaseOf(instance.spec).kind === 'Managed') {
    const own = children.find(({ kind, metadata }) => kind === 'Secret' && metadata.name === ownerSecret(instance).name)
    const state: SecretState = own ? { state: 'usable', version: secretVersion(own) } : { state: 'missing' }
    return [state, state]
  }
  const { namespace = '' } = instance.metadata
  const read = (at: SecretKey) => parts.readings.secrets.read(parts, { namespace, ...at }, signal)
  const [service, owner] = [serviceSecret(instance), ownerSecret(instance)]
  if (owner.name === service.name && owner.key === service.key) {
    const state = await read(service)
    return [state, state]
  }
  return Promise.all([read(service), read(owner)])
}
