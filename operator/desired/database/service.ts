import { selectorOf } from '../../api/labels.ts'
import type { StorageInstance } from '../../api/storage-instance.ts'
import { child, type Manifest } from '../child.ts'

export const DATABASE_PORT = 5432

/** An address that stays when the pod is replaced; connections fail at once while there is none, instead of looking for it. */
export function databaseService(instance: StorageInstance): Manifest {
  const options = { apiVersion: 'v1', kind: 'Service', purpose: 'db' } as const
  return child(instance, options, {
    spec: {
      selector: selectorOf(instance.metadata.name, 'database'),
      ports: [{ name: 'postgresql', port: DATABASE_PORT, targetPort: 'postgresql', protocol: 'TCP' }],
    },
  })
}
