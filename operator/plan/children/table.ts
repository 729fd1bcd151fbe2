import { childName, type Purpose } from '../../api/names.ts'
import { databaseOf } from '../../api/unions.ts'
import { apiAllowList, wasFilled } from '../../desired/api/allow-list.ts'
import { apiAutoscaler } from '../../desired/api/autoscaler.ts'
import { apiDisruptionBudget } from '../../desired/api/disruption-budget.ts'
import { metricsService } from '../../desired/api/metrics-service.ts'
import { apiService } from '../../desired/api/service.ts'
import { apiServiceAccount } from '../../desired/api/service-account.ts'
import type { Manifest } from '../../desired/child.ts'
import { DATABASE_PORT } from '../../desired/database/service.ts'
import { apiNetworkPolicy, databaseNetworkPolicy, taskNetworkPolicy } from '../../desired/network-policies.ts'
import { claimNameOf } from '../database/current-claim.ts'
import { holdOf } from '../hold.ts'
import type { Autoscaler } from '../live-objects.ts'
import { findOwn, type Observed, type SecretState } from '../observed.ts'
import { isTaken } from './foreign.ts'

type World = Pick<Observed, 'instance' | 'children'>

/** One lasting child: what it is called, when it is to be there, and what it looks like. */
type Child<Kind extends string = string> = {
  apiVersion: string
  kind: Kind
  name: (world: World) => string
  /** None: always. */
  isWanted?: (world: World) => boolean
  /** What it is to be; none where a check of its own keeps it. */
  build?: (observed: Observed, mayGrow: boolean) => Manifest | undefined
  /** Deleted where it is not wanted any more. Others stay for as long as the instance does. */
  isDropped?: boolean
}

const POLICY = { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', isDropped: true } as const

const TABLE = [
  { apiVersion: 'v1', kind: 'ServiceAccount', name: of('api'), build: ({ instance }) => apiServiceAccount(instance) },
  { apiVersion: 'v1', kind: 'ConfigMap', name: of('api'), build: allowList },
  { apiVersion: 'v1', kind: 'Secret', name: of('hash-key') },
  { apiVersion: 'v1', kind: 'Service', name: of('api'), build: ({ instance }) => apiService(instance) },
  { apiVersion: 'v1', kind: 'Service', name: of('metrics'), build: ({ instance }) => metricsService(instance) },
  { apiVersion: 'apps/v1', kind: 'Deployment', name: of('api') },
  { ...POLICY, name: of('api'), isWanted: hasPolicies, build: apiPolicy },
  {
    ...POLICY,
    name: of('db'),
    isWanted: (world) => hasPolicies(world) && isManaged(world),
    build: ({ instance }) => databaseNetworkPolicy(instance),
  },
  { ...POLICY, name: of('tasks'), isWanted: hasPolicies, build: taskPolicy },
  {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    name: of('api'),
    isWanted: hasSeveralPods,
    build: ({ instance }) => apiDisruptionBudget(instance),
    isDropped: true,
  },
  {
    apiVersion: 'autoscaling/v2',
    kind: 'HorizontalPodAutoscaler',
    name: of('api'),
    isWanted: isScaled,
    build: autoscaler,
    isDropped: true,
  },
  { apiVersion: 'v1', kind: 'Secret', name: of('db'), isWanted: isManaged },
  { apiVersion: 'v1', kind: 'Secret', name: of('db-tls'), isWanted: isManaged },
  { apiVersion: 'v1', kind: 'Secret', name: of('db-backup'), isWanted: isManaged },
  { apiVersion: 'v1', kind: 'ConfigMap', name: of('db'), isWanted: isManaged },
  { apiVersion: 'v1', kind: 'Service', name: of('db'), isWanted: isManaged },
  { apiVersion: 'v1', kind: 'PersistentVolumeClaim', name: claimNameOf, isWanted: isManaged },
  { apiVersion: 'apps/v1', kind: 'StatefulSet', name: of('db'), isWanted: isManaged },
] as const satisfies Child[]

/** A kind of lasting child. */
export type ChildKind = (typeof TABLE)[number]['kind']

/** All lasting children that an instance may have. Those that are built here are made in this order. */
export const CHILDREN: readonly Child<ChildKind>[] = TABLE

/** The kinds of lasting children, each once. */
export const CHILD_KINDS: readonly ChildKind[] = [...new Set(CHILDREN.map(({ kind }) => kind))]

type Named = { apiVersion: string; kind: ChildKind; name: string }

/** Kind and name of every lasting child that an instance is to have. */
export function childrenOf(world: World): Named[] {
  return CHILDREN.filter((child) => isWanted(child, world)).map((child) => named(child, world))
}

/** The children that no check of their own keeps, as they are to be. `mayGrow`: the database can carry more pods. */
export function builtChildren(observed: Observed, mayGrow: boolean): Manifest[] {
  return CHILDREN.filter((child) => isWanted(child, observed)).flatMap(({ build }) => build?.(observed, mayGrow) ?? [])
}

/** Kind and name of what goes where it is there. */
export function unwantedChildren(world: World): Named[] {
  return CHILDREN.filter((child) => child.isDropped && !isWanted(child, world)).map((child) => named(child, world))
}

function named({ apiVersion, kind, name }: Child<ChildKind>, world: World): Named {
  return { apiVersion, kind, name: name(world) }
}

function isWanted({ isWanted: is = () => true }: Child, world: World): boolean {
  return is(world)
}

function of(purpose: Purpose): Child['name'] {
  return ({ instance }) => childName(instance.metadata.name, purpose)
}

function isManaged({ instance }: World): boolean {
  return databaseOf(instance.spec).kind === 'Managed'
}

function hasPolicies({ instance }: World): boolean {
  return instance.spec.api.networkPolicy.enabled
}

function hasSeveralPods({ instance }: World): boolean {
  if (holdOf(instance).service) return false
  const { autoscaling, replicas } = instance.spec.api
  return (autoscaling?.minReplicas ?? replicas) > 1
}

/** An autoscaler goes by the name of what it scales, whoever owns that; it has no say while the service is kept off. */
function isScaled(world: World): boolean {
  const { instance } = world
  if (holdOf(instance).service) return false
  return instance.spec.api.autoscaling !== undefined && !isTaken(world, 'Deployment', of('api')(world))
}

function allowList(observed: Observed): Manifest {
  const { instance } = observed
  const live = findOwn(observed, { kind: 'ConfigMap', metadata: { name: of('api')(observed) } })
  return apiAllowList(instance, { wasFilled: wasFilled(live) })
}

function apiPolicy({ instance, release, serviceSecret, directSecret }: Observed): Manifest {
  const { operatorNamespace, apiServerPorts } = release
  const databasePorts = portsOf([serviceSecret, directSecret])
  return apiNetworkPolicy(instance, { operatorNamespace, databasePorts, ...(apiServerPorts && { apiServerPorts }) })
}

function taskPolicy({ instance, serviceSecret, ownerSecret, directSecret, replicationSecret }: Observed): Manifest {
  const databasePorts = portsOf([serviceSecret, ownerSecret, directSecret, replicationSecret])
  return taskNetworkPolicy(instance, { databasePorts })
}

function portsOf(secrets: readonly (SecretState | undefined)[]): number[] {
  const ports = secrets.flatMap((secret) => (secret?.state === 'usable' ? (secret.port ?? DATABASE_PORT) : []))
  return ports.length === 0 ? [DATABASE_PORT] : [...new Set(ports)]
}

/** Until there may be more pods, it may ask for no more than now. */
function autoscaler(observed: Observed, mayGrow: boolean): Manifest | undefined {
  const { instance } = observed
  const { autoscaling } = instance.spec.api
  if (autoscaling === undefined || mayGrow) return autoscaling && apiAutoscaler(instance, autoscaling)
  const at = { kind: 'HorizontalPodAutoscaler', metadata: { name: of('api')(observed) } }
  const served = findOwn<Autoscaler>(observed, at)?.spec?.maxReplicas
  if (served === undefined) return undefined
  const maxReplicas = Math.min(autoscaling.maxReplicas, served)
  const minReplicas = Math.min(autoscaling.minReplicas, maxReplicas)
  return apiAutoscaler(instance, { ...autoscaling, minReplicas, maxReplicas })
}
