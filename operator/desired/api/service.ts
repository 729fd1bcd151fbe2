import { selectorOf } from '../../api/labels.ts'
import { childName } from '../../api/names.ts'
import type { StorageInstance } from '../../api/storage-instance.ts'
import { HTTP_PORT } from '../../service-contract.ts'
import { child, type Manifest } from '../child.ts'

/** The address of the service inside the cluster. */
export function apiService(instance: StorageInstance): Manifest {
  const options = { apiVersion: 'v1', kind: 'Service', purpose: 'api' } as const
  const ports = [{ name: 'http', port: HTTP_PORT, targetPort: 'http', protocol: 'TCP' }]
  return child(instance, options, { spec: { selector: selectorOf(instance.metadata.name, 'api'), ports } })
}

/** The URL of that address, as callers in the cluster use it. */
export function endpointOf({ metadata: { name, namespace } }: StorageInstance): string {
  return `http://${childName(name, 'api')}.${namespace}.svc:${HTTP_PORT}`
}
