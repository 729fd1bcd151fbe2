/** Any object of the API, as far as the kit looks into it. */
export type KubeObject = {
  apiVersion: string
  kind: string
  metadata: { name: string; namespace?: string; labels?: Record<string, string>; [key: string]: unknown }
  [key: string]: unknown
}

/** What Pod Security *restricted* asks of a pod; with a number, so that the kubelet can tell that it is not root. */
export const POD_SECURITY = {
  runAsNonRoot: true,
  runAsUser: 65_532,
  runAsGroup: 65_532,
  fsGroup: 65_532,
  seccompProfile: { type: 'RuntimeDefault' },
}

/** The same for a container. */
export const CONTAINER_SECURITY = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ['ALL'] },
}

type Workload = { name: string; labels?: Record<string, string>; replicas?: number; pod: Record<string, unknown> }

/** A Deployment whose pods have the label `app: <name>`; its pods end without a wait. */
export function deployment({ name, labels, replicas = 1, pod }: Workload): KubeObject {
  const podLabels = { app: name, ...labels }
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, labels: podLabels },
    spec: {
      replicas,
      selector: { matchLabels: { app: name } },
      template: { metadata: { labels: podLabels }, spec: { securityContext: POD_SECURITY, ...pod } },
    },
  }
}

/** A Service in front of the pods with the label `app: <name>`; each port has the name and number given. */
export function service(name: string, ports: Record<string, number>, labels: Record<string, string> = {}): KubeObject {
  const list = Object.entries(ports).map(([port, number]) => ({ name: port, port: number, targetPort: number }))
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, labels: { app: name, ...labels } },
    spec: { selector: { app: name }, ports: list },
  }
}

/** A folder in memory or on the node's disk that lives as long as its pod. */
export function emptyDir(name: string, medium?: 'Memory'): { name: string; emptyDir: object } {
  return { name, emptyDir: medium ? { medium } : {} }
}
