import { childName } from '../../api/names.ts'
import type { StorageInstance, StorageInstanceSpec } from '../../api/storage-instance.ts'
import { child, type Manifest } from '../child.ts'

type Autoscaling = NonNullable<StorageInstanceSpec['api']['autoscaling']>

/** Owns the number of pods as long as it is there. */
export function apiAutoscaler(instance: StorageInstance, autoscaling: Autoscaling): Manifest {
  const options = {
    apiVersion: 'autoscaling/v2',
    kind: 'HorizontalPodAutoscaler',
    purpose: 'api',
  } as const
  const { minReplicas, maxReplicas, targetCPUUtilizationPercentage: averageUtilization } = autoscaling
  const name = childName(instance.metadata.name, 'api')
  const target = { type: 'Utilization', averageUtilization }
  return child(instance, options, {
    spec: {
      scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name },
      minReplicas,
      maxReplicas,
      metrics: [{ type: 'Resource', resource: { name: 'cpu', target } }],
    },
  })
}
