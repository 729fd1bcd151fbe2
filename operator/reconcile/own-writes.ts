import type { KubeObject } from '../api/object.ts'
import { withoutManagedFields } from '../kube/object.ts'

type Written<T> = { object: T; outdated: Set<string> }

/**
 * What the API server answered to status writes that the cache may not know of yet. A reconcile that went by the cache alone
 * would find its own last write missing, and have its next one refused as outdated.
 */
export class OwnWrites<T extends KubeObject> {
  /** By the key of a reconcile, and by the uids of the objects that it writes. */
  readonly #written = new Map<string, Map<string, Written<T>>>()

  /** `before` was replaced by `after`; only a write that was refused where `before` was not the newest may be noted. */
  note(key: string, before: T, after: T): void {
    const written = this.#written.get(key) ?? new Map<string, Written<T>>()
    const outdated = written.get(uidOf(before))?.outdated ?? new Set()
    written.set(uidOf(before), { object: withoutManagedFields(after), outdated: outdated.add(versionOf(before)) })
    this.#written.set(key, written)
  }

  /** What the cache has of a key, each as it is or as it was replaced. What is not there any more is forgotten. */
  newest(key: string, cached: readonly T[]): T[] {
    const written = this.#written.get(key)
    const kept = cached.flatMap((object) => {
      const own = written?.get(uidOf(object))
      return own?.outdated.has(versionOf(object)) ? [[uidOf(object), own] as const] : []
    })
    if (kept.length === 0) this.#written.delete(key)
    else this.#written.set(key, new Map(kept))
    const known = new Map(kept)
    return cached.map((object) => known.get(uidOf(object))?.object ?? object)
  }
}

/** Another object of the same name has another uid. */
function uidOf({ metadata }: KubeObject): string {
  return metadata.uid ?? ''
}

/** Versions of one object never come again. */
function versionOf({ metadata }: KubeObject): string {
  return metadata.resourceVersion ?? ''
}
