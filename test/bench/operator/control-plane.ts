import { type ChildProcess, spawn } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { findFreePort } from '../../../app/embedded/free-port.ts'
import { loadConnection } from '../../../operator/kube/connection.ts'
import { SystemClock } from '../../../operator/process/system-clock.ts'
import { buildParts } from '../../cluster/build/build.ts'
import { part } from '../../cluster/build/parts.ts'
import { Authority } from '../../cluster/node/authority.ts'
import { kubeconfig } from '../../cluster/node/kubeconfig.ts'
import { eventually } from '../../support/eventually.ts'

const START_LIMIT_MS = 180_000
/** As in a cluster: the API server shares its attention out by who asks, and the administrator's share is without limit. */
const OPERATOR = 'system:serviceaccount:sonoma-storage:sonoma-storage-operator'
/** Every write of the operator, and nothing else. */
const AUDIT_POLICY = {
  apiVersion: 'audit.k8s.io/v1',
  kind: 'Policy',
  omitStages: ['RequestReceived'],
  rules: [
    { level: 'Metadata', users: [OPERATOR], verbs: ['create', 'update', 'patch', 'delete', 'deletecollection'] },
    { level: 'None' },
  ],
}

/** More memory for less work: neither etcd nor the API server is what is measured, and both share the machine with what is. */
const SPARING = { GOGC: '400' }

/** An API server on an etcd of its own, both of this machine and for this bench only. */
export class ControlPlane {
  readonly #folder: string
  readonly #children: ChildProcess[] = []

  private constructor(folder: string) {
    this.#folder = folder
  }

  static async start(folder: string, report: (line: string) => void): Promise<ControlPlane> {
    const binaries = await buildParts([part('etcd'), part('kube-apiserver')], report)
    const plane = new ControlPlane(folder)
    const [client = 0, peer = 0, api = 0] = await Promise.all([findFreePort(), findFreePort(), findFreePort()])
    await plane.#makeFiles(api)
    const etcd = `http://127.0.0.1:${client}`
    plane.#run(binaries.get('etcd') ?? '', etcdFlags(folder, etcd, `http://127.0.0.1:${peer}`))
    plane.#run(binaries.get('kube-apiserver') ?? '', apiServerFlags(folder, etcd, api))
    await plane.#untilReady()
    return plane
  }

  /** The kubeconfig of the administrator and of the operator. */
  kubeconfigOf(user: 'admin' | 'operator'): string {
    return join(this.#folder, `${user}.kubeconfig`)
  }

  /** One JSON object for each write of the operator. */
  get auditFile(): string {
    return join(this.#folder, 'audit.log')
  }

  async stop(): Promise<void> {
    for (const child of this.#children.reverse()) {
      if (child.exitCode !== null || child.signalCode !== null) continue
      const ended = once(child, 'exit')
      child.kill('SIGKILL')
      await ended
    }
  }

  async #makeFiles(port: number): Promise<void> {
    const authority = await Authority.create(this.#folder, 'ca')
    await authority.issue('apiserver', { name: 'kube-apiserver', hosts: ['localhost', '127.0.0.1'] })
    await authority.issue('admin', { name: 'administrator', group: 'system:masters' })
    await authority.issue('operator', { name: OPERATOR, group: 'system:serviceaccounts' })
    for (const user of ['admin', 'operator'] as const) {
      const text = await kubeconfig(this.#folder, user, `https://127.0.0.1:${port}`)
      await writeFile(this.kubeconfigOf(user), text, { mode: 0o600 })
    }
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    await writeFile(join(this.#folder, 'sa.key'), privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 })
    await writeFile(join(this.#folder, 'audit.json'), JSON.stringify(AUDIT_POLICY))
  }

  #run(program: string, flags: Record<string, string>): void {
    const log = openSync(join(this.#folder, 'control-plane.log'), 'a')
    const args = Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`)
    const child = spawn(program, args, { stdio: ['ignore', log, log], env: { PATH: process.env.PATH, ...SPARING } })
    process.once('exit', () => child.kill('SIGKILL'))
    this.#children.push(child)
    closeSync(log)
  }

  async #untilReady(): Promise<void> {
    const connection = loadConnection(this.kubeconfigOf('admin'), new SystemClock())
    const { dispatcher } = await connection.credentials()
    try {
      await eventually(
        async () => {
          const { origin } = connection.server
          const { statusCode, body } = await dispatcher.request({ origin, path: '/readyz', method: 'GET' })
          await body.dump()
          return statusCode === 200
        },
        { timeoutMs: START_LIMIT_MS },
      )
    } catch (error) {
      const log = await readFile(join(this.#folder, 'control-plane.log'), 'utf8')
      throw new Error(`The API server did not start:\n${log.slice(-3_000)}`, { cause: error })
    } finally {
      await connection.close()
    }
  }
}

/** The name of the operator's user, to be given rights. */
export const OPERATOR_USER = OPERATOR

function etcdFlags(folder: string, client: string, peer: string): Record<string, string> {
  return {
    'data-dir': join(folder, 'etcd'),
    'listen-client-urls': client,
    'advertise-client-urls': client,
    'listen-peer-urls': peer,
    'initial-advertise-peer-urls': peer,
    'initial-cluster': `default=${peer}`,
    // The disk of this machine is not what is measured.
    'unsafe-no-fsync': 'true',
    'log-level': 'error',
  }
}

function apiServerFlags(folder: string, etcd: string, port: number): Record<string, string> {
  const file = (name: string) => join(folder, name)
  return {
    'etcd-servers': etcd,
    'secure-port': `${port}`,
    'bind-address': '127.0.0.1',
    'endpoint-reconciler-type': 'none',
    'authorization-mode': 'RBAC',
    // Nobody makes the tokens that it waits for.
    'disable-admission-plugins': 'ServiceAccount',
    'client-ca-file': file('ca.crt'),
    'tls-cert-file': file('apiserver.crt'),
    'tls-private-key-file': file('apiserver.key'),
    'service-account-issuer': 'https://kubernetes.default.svc.cluster.local',
    'service-account-key-file': file('sa.key'),
    'service-account-signing-key-file': file('sa.key'),
    'service-cluster-ip-range': '10.96.0.0/16',
    'audit-policy-file': file('audit.json'),
    'audit-log-path': file('audit.log'),
    'audit-log-maxsize': '10000',
    profiling: 'false',
  }
}
