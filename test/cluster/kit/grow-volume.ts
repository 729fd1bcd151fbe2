import { parseQuantity } from '../../../operator/desired/quantity.ts'
import { kubectl } from '../kubectl.ts'
import type { Namespace } from './namespace.ts'
import type { KubeObject } from './objects.ts'
import { onNode } from './on-node.ts'

type Claim = KubeObject & {
  metadata: { annotations: Record<string, string> }
  spec: { volumeName: string; resources: { requests: { storage: string } } }
}
type Volume = { spec: { local: { path: string } } }

/**
 * Does for a claim of the class `memory` what the resizer of a provisioner does, since the provisioner of the tests has none:
 * the file system grows to what the claim asks for, under the pod that uses it, and then volume and claim say so.
 */
export async function growVolume(namespace: Namespace, name: string): Promise<void> {
  const { metadata, spec } = await namespace.get<Claim>(`pvc/${name}`)
  const storage = spec.resources.requests.storage
  const volume = JSON.parse(await kubectl(['get', 'pv', spec.volumeName, '-o', 'json'])) as Volume
  const node = metadata.annotations['volume.kubernetes.io/selected-node'] ?? ''
  await onNode(node, `mount -o remount,size=${parseQuantity(storage)} ${volume.spec.local.path}`)
  const capacity = { storage }
  await kubectl(['patch', 'pv', spec.volumeName, '--type=merge', '-p', JSON.stringify({ spec: { capacity } })])
  const patch = JSON.stringify({ status: { capacity } })
  await namespace.kubectl('patch', 'pvc', name, '--subresource=status', '--type=merge', '-p', patch)
}
