import { GROUP } from '../../operator/api/labels.ts'
import { LEASE_NAME } from '../../operator/contract.ts'

/** One rule of a Role or ClusterRole. */
export type PolicyRule = { apiGroups: string[]; resources: string[]; verbs: string[]; resourceNames?: string[] }

const WATCH = ['list', 'watch']
// Server-side apply is a patch, and a create where the object does not exist. A name is looked up before it is used.
const KEEP = ['get', ...WATCH, 'create', 'patch']
// What is not wanted any more is taken away; everything else goes with its instance, or stays.
const KEEP_OR_DROP = [...KEEP, 'delete']

function rule(apiGroup: string, resources: string[], verbs: string[]): PolicyRule {
  return { apiGroups: [apiGroup], resources, verbs }
}

/** What the operator may do wherever there are instances. It can neither grant rights nor run commands in pods. */
export const INSTANCE_RULES: PolicyRule[] = [
  // Nothing but people and their tools writes a spec.
  rule(GROUP, ['storageinstances', 'storagebackups', 'storagerestores'], WATCH),
  rule(GROUP, ['storageinstances/status', 'storagebackups/status', 'storagerestores/status'], ['patch']),
  // Children block the deletion of their owner until they are gone; some clusters ask for this right to say so.
  rule(GROUP, ['storageinstances/finalizers'], ['update']),
  rule('', ['configmaps', 'persistentvolumeclaims', 'serviceaccounts', 'services'], KEEP),
  // Read by name; listed and watched as metadata only, which RBAC cannot tell apart.
  rule('', ['secrets'], KEEP),
  rule('', ['pods'], WATCH),
  rule('apps', ['deployments', 'statefulsets'], KEEP),
  rule('batch', ['jobs'], KEEP_OR_DROP),
  rule('networking.k8s.io', ['networkpolicies'], KEEP_OR_DROP),
  rule('policy', ['poddisruptionbudgets'], KEEP_OR_DROP),
  rule('autoscaling', ['horizontalpodautoscalers'], KEEP_OR_DROP),
  // Only events say why a pod cannot be created, or a volume not mounted.
  rule('events.k8s.io', ['events'], ['list', 'create', 'patch']),
]

/** The namespace whose uid is the identity of the cluster; a Role in it is enough to read it. */
export const IDENTITY_NAMESPACE = 'kube-system'

/** How the operator tells its cluster from others, so that a database is not taken over from one with the same names. */
export const IDENTITY_RULES: PolicyRule[] = [
  { ...rule('', ['namespaces'], ['get']), resourceNames: [IDENTITY_NAMESPACE] },
]

/** The namespace of the API server's own endpoints. */
export const ENDPOINTS_NAMESPACE = 'default'

/** Where the API server listens, which the network policies of instances let its pods reach. */
export const ENDPOINTS_RULES: PolicyRule[] = [
  { ...rule('discovery.k8s.io', ['endpointslices'], ['get']), resourceNames: ['kubernetes'] },
]

/** What the operator may do in its own namespace: take turns by its Lease. RBAC cannot bind a create to a name. */
export const OWN_NAMESPACE_RULES: PolicyRule[] = [
  rule('coordination.k8s.io', ['leases'], ['create']),
  { ...rule('coordination.k8s.io', ['leases'], ['get', 'update']), resourceNames: [LEASE_NAME] },
]
