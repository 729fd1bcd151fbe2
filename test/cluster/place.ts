import { join } from 'node:path'
import { cachePath } from '../support/cache.ts'

/** The root of the repository. */
export const ROOT = join(import.meta.dirname, '..', '..')

/** What is built once and kept: binaries and images, keyed by what they are made from. */
export const CACHE: string = cachePath('cluster')

/** Where a cluster of our own keeps everything; CLUSTER_FOLDER names another one, for a second cluster. */
export const CLUSTER = process.env.CLUSTER_FOLDER || join(ROOT, '.cluster')

/** The paths of a cluster in `folder`; `node` goes when the cluster goes. */
export function clusterPaths(folder: string): { folder: string; node: string; kubeconfig: string; programs: string } {
  const [node, kubeconfig, programs] = ['node', 'kubeconfig', 'bin'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ]
  return { folder, node, kubeconfig, programs }
}

/** The kubeconfig of somebody else's cluster, or undefined where the cluster is our own. */
export function foreignKubeconfig(): string | undefined {
  const given = process.env.KUBECONFIG
  return given && given !== clusterPaths(CLUSTER).kubeconfig ? given : undefined
}
