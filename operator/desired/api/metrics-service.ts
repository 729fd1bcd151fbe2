import { selectorOf } from '../../api/labels.ts'
import type { StorageInstance } from '../../api/storage-instance.ts'
import { METRICS_PORT } from '../../service-contract.ts'
import { child, type Manifest } from '../child.ts'

/** For Prometheus, which asks every pod by itself: no address of its own, and a component that ServiceMonitors select. */
export function metricsService(instance: StorageInstance): Manifest {
  const options = { apiVersion: 'v1', kind: 'Service', purpose: 'metrics' } as const
  return child(instance, options, {
    spec: {
      clusterIP: 'None',
      // A pod that is not ready is the one to look at.
      publishNotReadyAddresses: true,
      selector: selectorOf(instance.metadata.name, 'api'),
      ports: [{ name: 'metrics', port: METRICS_PORT, targetPort: 'metrics', protocol: 'TCP' }],
    },
  })
}
