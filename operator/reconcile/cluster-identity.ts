import type { KubeClient } from '../kube/client.ts'
import { NAMESPACES } from '../kube/resources.ts'

/** The namespace that every cluster has for as long as it exists. */
const SYSTEM_NAMESPACE = 'kube-system'

/** Tells this cluster from others in which namespaces and names are the same. */
export class ClusterIdentity {
  #id: string | undefined

  /** The uid of kube-system, asked for until it is known; undefined where the cluster has no such namespace. */
  async read(client: Pick<KubeClient, 'get'>, signal: AbortSignal): Promise<string | undefined> {
    if (this.#id !== undefined) return this.#id
    const found = await client.get(NAMESPACES, undefined, SYSTEM_NAMESPACE, { signal, metadataOnly: true })
    this.#id = found?.metadata.uid
    return this.#id
  }
}
