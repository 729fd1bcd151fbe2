import { randomBytes } from 'node:crypto'
import { afterAll, afterEach, beforeAll } from 'vitest'
import { kubectl, tryKubectl } from '../kubectl.ts'
import { collectDiagnostics } from './diagnostics.ts'
import type { KubeObject } from './objects.ts'
import { type PortForward, portForward } from './port-forward.ts'

const WAIT_SECONDS = 120
const RESTRICTED = Object.fromEntries(
  ['enforce', 'warn', 'audit'].map((mode) => [`pod-security.kubernetes.io/${mode}`, 'restricted']),
)

/** What `wait` waits for: a condition, a value at a path of the object, or that it is gone. */
export type Awaited = { condition: string } | { path: string; value: string } | 'delete'

/**
 * A namespace for this test file: made before its tests with Pod Security *restricted* enforced, removed after them. A test
 * that fails leaves events, logs and objects in a folder that its message names.
 */
export function useNamespace(prefix: string): Namespace {
  const namespace = new Namespace(`${prefix}-${randomBytes(3).toString('hex')}`)
  beforeAll(() => namespace.create())
  afterEach(async ({ task }) => {
    const errors = task.result?.state === 'fail' ? (task.result.errors ?? []) : []
    if (errors[0] && !errors[0].message.includes('Diagnostics:')) {
      errors[0].message += `\nDiagnostics: ${await collectDiagnostics(namespace.name)}`
    }
  })
  afterAll(() => namespace.remove())
  return namespace
}

/** One namespace of the cluster and the calls on it. */
export class Namespace {
  readonly name: string
  readonly #forwards: PortForward[] = []

  constructor(name: string) {
    this.name = name
  }

  /** Makes it, and waits until pods can be started in it. */
  async create(): Promise<void> {
    const metadata = { name: this.name, labels: { ...RESTRICTED, 'sonoma.dev/test': 'true' } }
    await applyObjects([{ apiVersion: 'v1', kind: 'Namespace', metadata }])
    await kubectl(['wait', '--for=create', 'serviceaccount/default', '-n', this.name, '--timeout=30s'])
  }

  /** Drops it with all that is in it, without waiting for the end. */
  async remove(): Promise<void> {
    for (const forward of this.#forwards) forward.close()
    await tryKubectl(['delete', 'pods', '--all', '-n', this.name, '--grace-period=1', '--wait=false'])
    await tryKubectl(['delete', 'namespace', this.name, '--wait=false'])
  }

  /** Server-side apply; objects without a namespace go to this one. A warning of Pod Security is an error. */
  async apply(...objects: KubeObject[]): Promise<void> {
    await applyObjects(objects.map((object) => ({ ...object, metadata: { namespace: this.name, ...object.metadata } })))
  }

  /** One object, for instance `deployment/api`. */
  async get<T = KubeObject>(target: string): Promise<T> {
    return JSON.parse(await this.kubectl('get', target, '-o', 'json')) as T
  }

  /** The objects of a kind, by label. */
  async list<T = KubeObject>(kind: string, selector = ''): Promise<T[]> {
    const args = ['get', kind, '-o', 'json', ...(selector ? ['-l', selector] : [])]
    return (JSON.parse(await this.kubectl(...args)) as { items: T[] }).items
  }

  /** The name of a pod with this label that is neither ending nor ended. */
  async pod(selector: string): Promise<string> {
    type Pod = KubeObject & { status: { phase: string } }
    const pods = await this.list<Pod>('pods', selector)
    const alive = pods.find(
      ({ metadata, status }) => !metadata.deletionTimestamp && !/Succeeded|Failed/.test(status.phase),
    )
    if (!alive) throw new Error(`No pod with ${selector} in ${this.name}.`)
    return alive.metadata.name
  }

  /** Waits until the object exists and is so; when it takes too long, the message names the folder with all that is known. */
  async wait(target: string, awaited: Awaited, seconds = WAIT_SECONDS): Promise<void> {
    const timeout = ['-n', this.name, `--timeout=${seconds}s`]
    if (awaited !== 'delete') await this.#must(['wait', '--for=create', target, ...timeout])
    await this.#must(['wait', `--for=${argumentOf(awaited)}`, target, ...timeout])
  }

  /** Waits until every pod of a Deployment, StatefulSet or DaemonSet is the newest and ready. */
  async rollout(target: string, seconds = WAIT_SECONDS): Promise<void> {
    await this.#must(['rollout', 'status', target, '-n', this.name, `--timeout=${seconds}s`])
  }

  /** What a pod's containers have printed. */
  logs(target: string, ...more: string[]): Promise<string> {
    return this.kubectl('logs', target, '--all-containers', ...more)
  }

  /** Runs a command in a pod and answers its output. */
  exec(pod: string, command: string[], input?: string): Promise<string> {
    const stdin = input === undefined ? [] : ['-i']
    return kubectl(['exec', ...stdin, '-n', this.name, pod, '--', ...command], { input })
  }

  /** A port of this machine that leads to `target`, until the file ends. */
  async portForward(target: string, port: number): Promise<PortForward> {
    const forward = await portForward(this.name, target, port)
    this.#forwards.push(forward)
    return forward
  }

  /** Any other command of kubectl in this namespace. */
  kubectl(...args: string[]): Promise<string> {
    return kubectl([...args, '-n', this.name])
  }

  async #must(args: string[]): Promise<void> {
    const { code, stderr } = await tryKubectl(args)
    if (code === 0) return
    const folder = await collectDiagnostics(this.name)
    throw new Error(`kubectl ${args.join(' ')}: ${stderr.trim()}\nDiagnostics: ${folder}`)
  }
}

function argumentOf(awaited: Awaited): string {
  if (awaited === 'delete') return 'delete'
  return 'condition' in awaited ? `condition=${awaited.condition}` : `jsonpath=${awaited.path}=${awaited.value}`
}

/** Server-side apply of objects that name their own namespace. */
export async function applyObjects(objects: KubeObject[]): Promise<void> {
  const input = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects })
  const args = ['apply', '--server-side', '--force-conflicts', '--field-manager=sonoma-test', '-f', '-']
  const { code, stdout, stderr } = await tryKubectl(args, { input })
  if (code !== 0 || /would violate PodSecurity/.test(stderr)) throw new Error(`Not applied: ${stderr}\n${stdout}`)
}
