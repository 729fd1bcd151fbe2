import { LABELS, selectorOf } from '../api/labels.ts'
import { RUN_KIND_NAMES } from '../api/run-kinds.ts'
import type { StorageInstance } from '../api/storage-instance.ts'
import { databaseOf } from '../api/unions.ts'
import { HTTP_PORT, METRICS_PORT } from '../service-contract.ts'
import { child, type Manifest } from './child.ts'
import { DATABASE_PORT } from './database/service.ts'

export type PolicyOptions = {
  /** Where the operator runs: it asks the service how it is. */
  operatorNamespace: string
  /** The ports of an external database: those of all its addresses. */
  databasePorts?: readonly number[]
  /** Where the API server listens behind its Service. */
  apiServerPorts?: readonly number[]
}

const NAMESPACE_NAME = 'kubernetes.io/metadata.name'
// A policy sees the address behind a Service. That of DNS has the second port in OpenShift.
const DNS_PORTS = [53, 5353]
const DNS_EGRESS = { ports: DNS_PORTS.flatMap((port) => [{ protocol: 'UDP', port }, tcp(port)]) }
/** Where nobody knows better, the API server has the one or the other. */
const API_SERVER_PORTS = [443, 6443]

/** Who may talk to the pods of the service, and whom they may talk to. */
export function apiNetworkPolicy(instance: StorageInstance, options: PolicyOptions): Manifest {
  return child(instance, policyKind('api'), {
    spec: {
      podSelector: { matchLabels: selectorOf(instance.metadata.name, 'api') },
      policyTypes: ['Ingress', 'Egress'],
      ingress: [{ ...callers(instance, options), ports: [tcp(HTTP_PORT)] }, { ports: [tcp(METRICS_PORT)] }],
      egress: [
        DNS_EGRESS,
        databaseEgress(instance, options),
        { ports: (options.apiServerPorts ?? API_SERVER_PORTS).map(tcp) },
      ],
    },
  })
}

/** The pods of Jobs call the database and nobody else, and nobody calls them. */
export function taskNetworkPolicy(instance: StorageInstance, options: Pick<PolicyOptions, 'databasePorts'>): Manifest {
  const { [LABELS.component]: _, ...matchLabels } = selectorOf(instance.metadata.name, 'migrate')
  const matchExpressions = [{ key: LABELS.component, operator: 'In', values: RUN_KIND_NAMES }]
  return child(instance, policyKind('tasks'), {
    spec: {
      podSelector: { matchLabels, matchExpressions },
      policyTypes: ['Ingress', 'Egress'],
      ingress: [],
      egress: [DNS_EGRESS, databaseEgress(instance, options)],
    },
  })
}

/** The managed database is for the pods of its instance alone, and calls nobody. */
export function databaseNetworkPolicy(instance: StorageInstance): Manifest {
  const { name } = instance.metadata
  const own = { podSelector: { matchLabels: { [LABELS.storageInstance]: name } } }
  return child(instance, policyKind('db'), {
    spec: {
      podSelector: { matchLabels: selectorOf(name, 'database') },
      policyTypes: ['Ingress', 'Egress'],
      ingress: [{ from: [own], ports: [tcp(DATABASE_PORT)] }],
      // Said, so that a rule that somebody adds is taken away.
      egress: [],
    },
  })
}

function policyKind(purpose: 'api' | 'db' | 'tasks') {
  return { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', purpose }
}

/** With static tokens a caller may be anywhere; otherwise the namespaces of those who are allowed, and the operator. */
function callers({ metadata, spec }: StorageInstance, { operatorNamespace }: PolicyOptions): object {
  const { mode, allow } = spec.api.auth
  if (mode === 'Token') return {}
  const own = metadata.namespace ?? ''
  const allowed = allow.length === 0 ? [own] : [...new Set(allow.map((account) => account.namespace))].sort()
  const operator = {
    namespaceSelector: { matchLabels: { [NAMESPACE_NAME]: operatorNamespace } },
    podSelector: { matchLabels: { [LABELS.component]: 'operator' } },
  }
  return {
    from: [...allowed.map((name) => ({ namespaceSelector: { matchLabels: { [NAMESPACE_NAME]: name } } })), operator],
  }
}

function databaseEgress(
  instance: StorageInstance,
  { databasePorts = [DATABASE_PORT] }: Pick<PolicyOptions, 'databasePorts'>,
): object {
  if (databaseOf(instance.spec).kind === 'External') return { ports: databasePorts.map(tcp) }
  const to = [{ podSelector: { matchLabels: selectorOf(instance.metadata.name, 'database') } }]
  return { to, ports: [tcp(DATABASE_PORT)] }
}

function tcp(port: number): { protocol: string; port: number } {
  return { protocol: 'TCP', port }
}
