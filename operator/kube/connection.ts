import type { RequestOptions } from 'node:https'
import { KubeConfig } from '@kubernetes/client-node'
import { Agent, type Dispatcher, ProxyAgent } from 'undici'
import type { Clock } from '../runtime/clock.ts'

export type Credentials = { dispatcher: Dispatcher; headers: Record<string, string> }

/** The way to one API server: its address, kept connections, and the credentials of the moment. */
export type Connection = {
  readonly server: URL
  /** Rotated tokens and certificates are noticed; the dispatcher stays the same as long as the certificates do. */
  credentials(): Promise<Credentials>
  /** Closes the connections; what is still under way breaks. */
  close(): Promise<void>
}

type TlsMaterial = Pick<RequestOptions, 'ca' | 'cert' | 'key' | 'servername' | 'rejectUnauthorized'>

/** Kubelet renews a token at 80% of its life, so that this age does no harm and saves reading files for each request. */
const CREDENTIALS_AGE_MS = 10_000
/** Shorter than the idle limit of load balancers between here and the API server, as client-go has it. */
const KEEP_ALIVE_MS = 30_000

/** That of a kubeconfig file, or of the pod's service account where no file is named. */
export function loadConnection(kubeconfig: string | undefined, clock: Clock): Connection {
  const config = new KubeConfig()
  if (kubeconfig === undefined) config.loadFromCluster()
  else config.loadFromFile(kubeconfig)
  return new KubeConnection(config, clock)
}

/**
 * What client-node knows of kubeconfigs and credentials, on one dispatcher of our own: client-node 2.0.1 makes one for each
 * request, and with it a TLS handshake.
 */
export class KubeConnection implements Connection {
  readonly server: URL
  readonly #config: KubeConfig
  readonly #clock: Clock
  #known: (Credentials & { material: string; readAtMs: number }) | undefined

  constructor(config: KubeConfig, clock: Clock) {
    const cluster = config.getCurrentCluster()
    if (!cluster?.server) throw new Error('The kubeconfig names no cluster in its current context.')
    this.server = new URL(cluster.server)
    // Plain HTTP has nothing to verify, but client-node takes it only from those who say so.
    if (this.server.protocol === 'http:') Object.assign(cluster, { skipTLSVerify: true })
    this.#config = config
    this.#clock = clock
  }

  async credentials(): Promise<Credentials> {
    const nowMs = this.#clock.monotonicMs()
    if (this.#known !== undefined && nowMs - this.#known.readAtMs < CREDENTIALS_AGE_MS) return this.#known
    const options: RequestOptions = {}
    await this.#config.applyToHTTPSOptions(options)
    const { ca, cert, key, servername, rejectUnauthorized } = options
    const headers = headersOf(options)
    const dispatcher = this.#dispatcherFor({ ca, cert, key, servername, rejectUnauthorized })
    this.#known = { ...dispatcher, headers, readAtMs: nowMs }
    return this.#known
  }

  async close(): Promise<void> {
    await this.#known?.dispatcher.destroy()
    this.#known = undefined
  }

  #dispatcherFor(tls: TlsMaterial): { dispatcher: Dispatcher; material: string } {
    const material = JSON.stringify([tls.ca, tls.cert, tls.key, tls.servername, tls.rejectUnauthorized].map(String))
    if (this.#known?.material === material) return { dispatcher: this.#known.dispatcher, material }
    // Requests under way on the old one, watches too, go on until they end.
    void this.#known?.dispatcher.close()
    return { dispatcher: this.#newDispatcher(tls), material }
  }

  #newDispatcher(tls: TlsMaterial): Dispatcher {
    const proxy = this.#config.getCurrentCluster()?.proxyUrl
    // HTTP/1.1: one connection for each watch, so that a reset costs one of them and not all.
    const connect = { ...tls, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS }
    if (proxy) return new ProxyAgent({ uri: proxy, requestTls: tls, allowH2: false })
    return new Agent({ connect, allowH2: false, headersTimeout: 0, bodyTimeout: 0 })
  }
}

function headersOf(options: RequestOptions): Record<string, string> {
  const headers = Object.entries(options.headers ?? {}).map(([name, value]) => [
    name.toLowerCase(),
    String(value).trim(),
  ])
  if (options.auth) headers.push(['authorization', `Basic ${Buffer.from(options.auth).toString('base64')}`])
  return Object.fromEntries(headers)
}
