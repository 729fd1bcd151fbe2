import type { KubeObject } from '../../../operator/api/object.ts'
import { Cache } from '../../../operator/kube/cache.ts'
import { KubeClient } from '../../../operator/kube/client.ts'
import { type Connection, loadConnection } from '../../../operator/kube/connection.ts'
import { Reflector } from '../../../operator/kube/reflector.ts'
import type { Resource } from '../../../operator/kube/resources.ts'
import { Transport } from '../../../operator/kube/transport.ts'
import { SystemClock } from '../../../operator/process/system-clock.ts'
import { seed } from '../../fault/form.ts'
import { Random } from '../../fault/random.ts'
import { eventually } from '../../support/eventually.ts'
import { activeKubeconfig } from '../kubectl.ts'
import type { Namespace } from './namespace.ts'

/** One object that was there at some time; `owner` is the uid of what it belongs to. */
export type Recorded = { name: string; uid: string; owner: string }

/** Everything of a kind that was ever in a namespace since the start, also what is gone again. */
export class ObjectRecord {
  readonly #connection: Connection
  readonly #reflector: Reflector<KubeObject>
  readonly #seen = new Map<string, Recorded>()
  readonly #cache: Cache<KubeObject>

  private constructor(namespace: Namespace, resource: Resource, labelSelector: string) {
    const [clock, chance] = [new SystemClock(), new Random(seed)]
    const random = () => chance.next()
    this.#connection = loadConnection(activeKubeconfig(), clock)
    this.#cache = new Cache([namespace.name])
    this.#cache.onChange(({ after }) => after && this.#note(after))
    const transport = new Transport({ connection: this.#connection, clock, random, timeoutMs: 10_000 })
    this.#reflector = new Reflector({
      client: new KubeClient(transport),
      resource,
      cache: this.#cache,
      clock,
      random,
      scope: namespace.name,
      labelSelector,
      metadataOnly: true,
    })
  }

  static async start(namespace: Namespace, resource: Resource, labelSelector: string): Promise<ObjectRecord> {
    const record = new ObjectRecord(namespace, resource, labelSelector)
    record.#reflector.start()
    await eventually(() => record.#cache.hasSynced)
    return record
  }

  /** What belonged to the object with this uid. */
  of(owner: string): Recorded[] {
    return [...this.#seen.values()].filter((recorded) => recorded.owner === owner)
  }

  async stop(): Promise<void> {
    await this.#reflector.stop()
    await this.#connection.close()
  }

  #note({ metadata }: KubeObject): void {
    const { name, uid = '', ownerReferences } = metadata
    this.#seen.set(uid, { name, uid, owner: ownerReferences?.[0]?.uid ?? '' })
  }
}
