import type { StorageInstanceSpec } from '../../api/storage-instance.ts'

/** Connections that all pods of the service may open at once: the most replicas there can be, and one more while they are replaced. */
export function poolConnections({ api }: Pick<StorageInstanceSpec, 'api'>): number {
  const replicas = api.autoscaling?.maxReplicas ?? api.replicas
  return replicas === 0 ? 0 : (replicas + 1) * api.poolSize
}
