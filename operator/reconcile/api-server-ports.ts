import type { KubeObject } from '../api/object.ts'
import { ApiError } from '../kube/api-error.ts'
import type { KubeClient } from '../kube/client.ts'
import { ENDPOINT_SLICES } from '../kube/resources.ts'

/** The API server keeps its own endpoints under this name. */
const OWN_ENDPOINTS = { namespace: 'default', name: 'kubernetes' }
/** That of its Service, for networks that judge a connection by the address that was called. */
const SERVICE_PORT = 443
/** Control planes rarely move. */
const LOOK_AGAIN_MS = 600_000

type EndpointSlice = KubeObject & { ports?: { port?: number }[] | null }

/** Where the API server listens behind its Service: a network policy sees that port. */
export class ApiServerPorts {
  #known: { ports: number[] | undefined; atMs: number } | undefined

  /** Read from the cluster every ten minutes; undefined where it does not tell, or does not let the operator look. */
  async read(client: Pick<KubeClient, 'get'>, now: Date, signal: AbortSignal): Promise<number[] | undefined> {
    const known = this.#known
    if (known !== undefined && now.getTime() - known.atMs < LOOK_AGAIN_MS) return known.ports
    const ports = await this.#look(client, signal)
    this.#known = { ports, atMs: now.getTime() }
    return ports
  }

  /** What was known stays where the API server fails; where nothing was known, a guess would cut what works. */
  async #look(client: Pick<KubeClient, 'get'>, signal: AbortSignal): Promise<number[] | undefined> {
    const { namespace, name } = OWN_ENDPOINTS
    try {
      const slice = await client.get<EndpointSlice>(ENDPOINT_SLICES, namespace, name, { signal })
      const ports = slice?.ports?.flatMap(({ port }) => port ?? []) ?? []
      return ports.length === 0 ? undefined : [...new Set([SERVICE_PORT, ...ports])].sort((a, b) => a - b)
    } catch (error) {
      if (error instanceof ApiError && error.code === 403) return undefined
      if (this.#known !== undefined && !signal.aborted) return this.#known.ports
      throw error
    }
  }
}
