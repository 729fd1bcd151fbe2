import type { KubeObject, ObjectMeta } from '../../../operator/api/object.ts'
import { ApiError } from '../../../operator/kube/api-error.ts'
import type { KubeClient } from '../../../operator/kube/client.ts'

type Stored = KubeObject & {
  metadata: ObjectMeta
  spec?: { holderIdentity?: string; renewTime?: string; leaseTransitions?: number }
}

/** Objects with versions, as the API server keeps them, for those who need only get, create, replace and patch. */
export class ObjectStore {
  readonly objects = new Map<string, Stored>()
  writes = 0
  /** Thrown by every call while it is set. */
  outage: Error | undefined
  /** So many of the next writes over what is there are carried out and answered with an error. */
  lost = 0
  /** What happens before an object is made, and before the answer that it was. */
  beforeCreate: () => void = () => {}
  afterCreate: () => void = () => {}
  #version = 0

  /** The part of the client that answers from here. */
  readonly client = {
    get: async (_resource: unknown, _namespace: string, name: string) => this.#get(name),
    create: async (object: Stored) => this.#create(object),
    replace: async (object: Stored) => this.#replace(object),
    patch: async (at: { name: string }, patch: object) => this.#patch(at.name, patch),
  } as unknown as KubeClient

  #get(name: string): Stored | undefined {
    if (this.outage) throw this.outage
    return structuredClone(this.objects.get(name))
  }

  #create(object: Stored): Stored {
    if (this.outage) throw this.outage
    if (this.objects.has(object.metadata.name)) throw new ApiError(409, 'AlreadyExists', 'exists')
    this.beforeCreate()
    const put = this.#put(object)
    this.afterCreate()
    return put
  }

  /** One that was deleted is a conflict, too: the version names an object that is no more. */
  #replace(object: Stored): Stored {
    if (this.outage) throw this.outage
    const known = this.objects.get(object.metadata.name)
    if (known?.metadata.resourceVersion !== object.metadata.resourceVersion)
      throw new ApiError(409, 'Conflict', 'changed')
    const put = this.#put(object)
    if (this.lost === 0) return put
    this.lost -= 1
    throw new Error('no answer')
  }

  #patch(name: string, patch: object): Stored {
    return this.#put({ ...this.#known(name), ...patch })
  }

  #known(name: string): Stored {
    if (this.outage) throw this.outage
    const known = this.objects.get(name)
    if (known === undefined) throw new ApiError(404, 'NotFound', 'not there')
    return known
  }

  #put(object: Stored): Stored {
    this.writes += 1
    const metadata = { ...object.metadata, resourceVersion: String(++this.#version) }
    this.objects.set(metadata.name, structuredClone({ ...object, metadata }))
    return structuredClone({ ...object, metadata })
  }
}
