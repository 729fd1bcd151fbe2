import { CRDS } from '../../../operator/api/crds.ts'
import type { Transport } from '../../../operator/kube/transport.ts'
import { OPERATOR_USER } from './control-plane.ts'

/** What has to be there before there can be instances: kinds, rights, namespaces. */
export async function makeFoundation(transport: Transport, namespaces: readonly string[]): Promise<void> {
  const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
  for (const definition of CRDS) await make(transport, definitions, definition)
  await make(transport, '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', rights())
  for (const name of namespaces) {
    await make(transport, '/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name } })
  }
}

async function make(transport: Transport, path: string, body: object): Promise<void> {
  await transport.send({ method: 'POST', path, body, accept: 'application/json' })
}

/** Whether the operator's own rights are enough is proved elsewhere. */
function rights(): object {
  return {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRoleBinding',
    metadata: { name: 'operator' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' },
    subjects: [{ kind: 'User', apiGroup: 'rbac.authorization.k8s.io', name: OPERATOR_USER }],
  }
}
