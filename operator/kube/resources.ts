import { API_VERSION } from '../api/labels.ts'

/** One kind of object and where the API server keeps it. */
export type Resource<Kind extends string = string> = {
  apiVersion: string
  kind: Kind
  plural: string
  namespaced: boolean
}

function namespaced<Kind extends string>(apiVersion: string, kind: Kind, plural: string): Resource<Kind> {
  return { apiVersion, kind, plural, namespaced: true }
}

export const NAMESPACES: Resource = { apiVersion: 'v1', kind: 'Namespace', plural: 'namespaces', namespaced: false }
export const STORAGE_INSTANCES = namespaced(API_VERSION, 'StorageInstance', 'storageinstances')
export const STORAGE_BACKUPS = namespaced(API_VERSION, 'StorageBackup', 'storagebackups')
export const STORAGE_RESTORES = namespaced(API_VERSION, 'StorageRestore', 'storagerestores')
export const CONFIG_MAPS = namespaced('v1', 'ConfigMap', 'configmaps')
export const PERSISTENT_VOLUME_CLAIMS = namespaced('v1', 'PersistentVolumeClaim', 'persistentvolumeclaims')
export const PODS = namespaced('v1', 'Pod', 'pods')
export const SECRETS = namespaced('v1', 'Secret', 'secrets')
export const SERVICES = namespaced('v1', 'Service', 'services')
export const SERVICE_ACCOUNTS = namespaced('v1', 'ServiceAccount', 'serviceaccounts')
export const DEPLOYMENTS = namespaced('apps/v1', 'Deployment', 'deployments')
export const STATEFUL_SETS = namespaced('apps/v1', 'StatefulSet', 'statefulsets')
export const JOBS = namespaced('batch/v1', 'Job', 'jobs')
export const NETWORK_POLICIES = namespaced('networking.k8s.io/v1', 'NetworkPolicy', 'networkpolicies')
export const POD_DISRUPTION_BUDGETS = namespaced('policy/v1', 'PodDisruptionBudget', 'poddisruptionbudgets')
export const HORIZONTAL_POD_AUTOSCALERS = namespaced(
  'autoscaling/v2',
  'HorizontalPodAutoscaler',
  'horizontalpodautoscalers',
)
export const ENDPOINT_SLICES = namespaced('discovery.k8s.io/v1', 'EndpointSlice', 'endpointslices')
export const LEASES = namespaced('coordination.k8s.io/v1', 'Lease', 'leases')
export const EVENTS = namespaced('events.k8s.io/v1', 'Event', 'events')

/** Every kind that the operator deals with. */
export const RESOURCES: readonly Resource[] = [
  NAMESPACES,
  STORAGE_INSTANCES,
  STORAGE_BACKUPS,
  STORAGE_RESTORES,
  CONFIG_MAPS,
  PERSISTENT_VOLUME_CLAIMS,
  PODS,
  SECRETS,
  SERVICES,
  SERVICE_ACCOUNTS,
  DEPLOYMENTS,
  STATEFUL_SETS,
  JOBS,
  NETWORK_POLICIES,
  POD_DISRUPTION_BUDGETS,
  HORIZONTAL_POD_AUTOSCALERS,
  ENDPOINT_SLICES,
  LEASES,
  EVENTS,
]

/** The resource of an object; throws where the operator knows no such kind. */
export function resourceOf<Kind extends string>(object: { apiVersion: string; kind: Kind }): Resource<Kind> {
  const { apiVersion, kind } = object
  const found = RESOURCES.find((resource) => resource.apiVersion === apiVersion && resource.kind === kind)
  if (found === undefined) throw new Error(`No resource is known for ${apiVersion} ${kind}.`)
  return found as Resource<Kind>
}

/** The path of a resource below the address of the API server; without a name the collection, without a namespace all of them. */
export function pathOf(resource: Resource, namespace?: string, name?: string): string {
  const root = resource.apiVersion.includes('/') ? '/apis' : '/api'
  const parts = [root, resource.apiVersion]
  if (resource.namespaced && namespace) parts.push('namespaces', encodeURIComponent(namespace))
  parts.push(resource.plural)
  if (name) parts.push(encodeURIComponent(name))
  return parts.join('/')
}
