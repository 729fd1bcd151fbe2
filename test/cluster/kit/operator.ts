import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { manifestsApp } from '../../../cdk8s/app.ts'
import type { InstallOptions } from '../../../cdk8s/options.ts'
import type { Condition } from '../../../operator/api/conditions.ts'
import { API_VERSION } from '../../../operator/api/labels.ts'
import type { StorageInstance } from '../../../operator/api/storage-instance.ts'
import { eventually } from '../../support/eventually.ts'
import { POSTGRES_IMAGE, SERVICE_IMAGE } from '../images/project-images.ts'
import { kubectl } from '../kubectl.ts'
import { Namespace } from './namespace.ts'

const OPERATOR = 'sonoma-storage-operator'
const SPACE = 'sonoma-storage'
const KINDS = ['storageinstances', 'storagebackups', 'storagerestores']

/** The namespace of the operator, for faults. */
export const OPERATOR_SPACE: Namespace = new Namespace(SPACE)
export const OPERATOR_PODS = 'app.kubernetes.io/component=operator'

/** Times of the Lease; without them those that the operator has by itself. */
export type LeaseTimes = { LEASE_DURATION: string; LEASE_RENEW_DEADLINE: string; LEASE_RETRY_PERIOD: string }
const NO_TIMES = ['LEASE_DURATION-', 'LEASE_RENEW_DEADLINE-', 'LEASE_RETRY_PERIOD-']

/** Installs the operator as its users do, from the manifests of `npm run synth`, with pods of the image that is here now. */
export async function ensureOperator(times?: LeaseTimes): Promise<void> {
  const env = times ? Object.entries(times).map(([name, value]) => `${name}=${value}`) : NO_TIMES
  await installOperator({ namespace: SPACE, watchNamespaces: [] }, env)
}

type Place = Pick<InstallOptions, 'namespace' | 'watchNamespaces'> &
  Partial<Pick<InstallOptions, 'image' | 'postgresImage'>>

/** The same in another namespace, or for named ones; several of them must not look after the same instances. */
export async function installOperator(place: Place, env = NO_TIMES): Promise<void> {
  await applyManifest('install.yaml', place)
  const kinds = KINDS.map((kind) => `customresourcedefinition/${kind}.storage.sonoma.dev`)
  await kubectl(['wait', '--for=condition=Established', ...kinds, '--timeout=60s'])
  const at = [`deployment/${OPERATOR}`, '-n', place.namespace]
  await kubectl(['set', 'env', ...at, ...env])
  await kubectl(['rollout', 'restart', ...at])
  await kubectl(['rollout', 'status', ...at, '--timeout=120s'])
}

/** Applies one of the files of `npm run synth`. */
export async function applyManifest(file: 'install.yaml' | 'monitoring.yaml', place: Place): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'sonoma-manifests-'))
  try {
    const images = { image: SERVICE_IMAGE, postgresImage: POSTGRES_IMAGE, pullPolicy: 'IfNotPresent', pullSecrets: [] }
    manifestsApp({ version: 'test', maxConcurrentRollouts: '', ...images, ...place }, folder).synth()
    const apply = ['apply', '--server-side', '--force-conflicts', '-f', join(folder, file)]
    // The namespace is made by the same file, and may be a moment behind.
    await eventually(() => kubectl(apply), { timeoutMs: 30_000 })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** The name of the operator's pod that works at the moment. */
export async function leader(): Promise<string> {
  const holder = await kubectl(['get', 'lease', OPERATOR, '-n', SPACE, '-o', 'jsonpath={.spec.holderIdentity}'])
  return holder.split('_')[0] ?? ''
}

/** What the working replica has logged. */
export async function operatorLog(): Promise<string> {
  return OPERATOR_SPACE.kubectl('logs', `pod/${await leader()}`, '--tail=2000')
}

/** An instance in a namespace of a test, and the calls on it. */
export class Instance {
  readonly #namespace: Namespace
  readonly name: string

  private constructor(namespace: Namespace, name: string) {
    this.#namespace = namespace
    this.name = name
  }

  /** Makes one; it is not waited for. */
  static async create(namespace: Namespace, spec: object = {}, name = 'crawl'): Promise<Instance> {
    const instance = new Instance(namespace, name)
    await instance.apply(spec)
    return instance
  }

  /** One that was made otherwise. */
  static at(namespace: Namespace, name: string): Instance {
    return new Instance(namespace, name)
  }

  /** The whole spec, as `kubectl apply --server-side` sends it. */
  async apply(spec: object, annotations: Record<string, string> = {}): Promise<void> {
    await this.#namespace.apply({
      apiVersion: API_VERSION,
      kind: 'StorageInstance',
      metadata: { name: this.name, annotations },
      spec,
    })
  }

  get target(): string {
    return `storageinstance/${this.name}`
  }

  get url(): string {
    return `http://${this.name}-api.${this.#namespace.name}.svc:8003`
  }

  /** All that carries its label, but its pods, as `kind/name` a line; '' where nothing is left. */
  children(): Promise<string> {
    const kinds = 'pvc,secret,deploy,sts,svc,job,cm,netpol,pdb,sa'
    return this.#namespace.kubectl('get', kinds, '-l', `storage.sonoma.dev/instance=${this.name}`, '-o', 'name')
  }

  get(): Promise<StorageInstance> {
    return this.#namespace.get<StorageInstance>(this.target)
  }

  /** Waits until the newest spec is ready. */
  async ready(seconds = 120): Promise<void> {
    await this.until('Ready', { status: 'True' }, seconds)
  }

  /** Waits until a condition about the newest spec is so; the error says what all conditions are. */
  async until(type: string, wanted: Partial<Condition>, seconds = 120): Promise<Condition> {
    let found: Condition | undefined
    const isSo = async () => {
      const { metadata, status } = await this.get()
      found = status?.conditions?.find((condition) => condition.type === type)
      const about = `${JSON.stringify(status?.conditions?.map(({ type, status, reason, message }) => ({ type, status, reason, message })))}`
      if (found?.observedGeneration !== metadata.generation) throw new Error(`not seen yet: ${about}`)
      const differs = Object.entries(wanted).some(([key, value]) => found?.[key as keyof Condition] !== value)
      if (differs) throw new Error(`${type} is not ${JSON.stringify(wanted)}: ${about}`)
    }
    await eventually(isSo, { timeoutMs: seconds * 1_000, intervalMs: 250 })
    return found as Condition
  }

  async condition(type: string): Promise<Condition | undefined> {
    return (await this.get()).status?.conditions?.find((condition) => condition.type === type)
  }
}
