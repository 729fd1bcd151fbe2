import { k8s } from 'cdk8s-plus-28'
import { Construct } from 'constructs'
import type { InstallOptions } from '../options.ts'
import { OPERATOR, operatorLabels } from './metadata.ts'
import {
  ENDPOINTS_NAMESPACE,
  ENDPOINTS_RULES,
  IDENTITY_NAMESPACE,
  IDENTITY_RULES,
  INSTANCE_RULES,
  OWN_NAMESPACE_RULES,
  type PolicyRule,
} from './permissions.ts'

const RBAC = 'rbac.authorization.k8s.io'

/** The operator's ServiceAccount and its rights: by a ClusterRole, or by a Role in each namespace that is watched. */
export class Access extends Construct {
  readonly #options: InstallOptions

  constructor(scope: Construct, id: string, options: InstallOptions) {
    super(scope, id)
    this.#options = options
    const { namespace, watchNamespaces } = options
    new k8s.KubeServiceAccount(this, 'account', { metadata: this.#metadata(OPERATOR, namespace) })
    this.#role('lease', namespace, OWN_NAMESPACE_RULES)
    if (watchNamespaces.length === 0) this.#clusterRole()
    else this.#outsideRoles()
    for (const watched of watchNamespaces) this.#role('instances', watched, INSTANCE_RULES)
  }

  #clusterRole(): void {
    const metadata = this.#metadata(OPERATOR)
    const rules = [...INSTANCE_RULES, ...IDENTITY_RULES, ...ENDPOINTS_RULES]
    new k8s.KubeClusterRole(this, 'cluster-role', { metadata, rules })
    const roleRef = { apiGroup: RBAC, kind: 'ClusterRole', name: OPERATOR }
    new k8s.KubeClusterRoleBinding(this, 'cluster-role-binding', { metadata, roleRef, subjects: this.#subjects() })
  }

  /** What has to be read outside of the namespaces that are watched. */
  #outsideRoles(): void {
    this.#role('identity', IDENTITY_NAMESPACE, IDENTITY_RULES)
    this.#role('endpoints', ENDPOINTS_NAMESPACE, ENDPOINTS_RULES)
  }

  #role(purpose: 'lease' | 'instances' | 'identity' | 'endpoints', namespace: string, rules: PolicyRule[]): void {
    const name = `${OPERATOR}-${purpose}`
    const metadata = this.#metadata(name, namespace)
    new k8s.KubeRole(this, `role-${purpose}-${namespace}`, { metadata, rules })
    const roleRef = { apiGroup: RBAC, kind: 'Role', name }
    new k8s.KubeRoleBinding(this, `binding-${purpose}-${namespace}`, { metadata, roleRef, subjects: this.#subjects() })
  }

  #subjects(): k8s.Subject[] {
    return [{ kind: 'ServiceAccount', name: OPERATOR, namespace: this.#options.namespace }]
  }

  #metadata(name: string, namespace?: string): k8s.ObjectMeta {
    return { name, namespace, labels: operatorLabels(this.#options.version) }
  }
}
