import type { Report } from './build/build.ts'
import { kubectl } from './kubectl.ts'
import { withLock } from './node/lock.ts'
import { removeNode } from './node/remove.ts'
import { CLUSTER, foreignKubeconfig } from './place.ts'

/** Takes down what `clusterUp` made; answers whether there was anything. */
export async function clusterDown(report: Report): Promise<boolean> {
  if (foreignKubeconfig()) return leaveForeign(report)
  return withLock(CLUSTER, () => removeNode(CLUSTER, report))
}

async function leaveForeign(report: Report): Promise<boolean> {
  report('The cluster of KUBECONFIG stays; what was installed in it is removed.')
  const both = ['namespace/sonoma-cluster-storage', 'storageclass/loop', 'storageclass/memory']
  await kubectl(['delete', '--ignore-not-found', ...both])
  const rights = ['clusterrole/sonoma-cluster-provisioner', 'clusterrolebinding/sonoma-cluster-provisioner']
  await kubectl(['delete', '--ignore-not-found', ...rights])
  return true
}
