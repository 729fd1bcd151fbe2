import type { StorageInstance } from '../api/storage-instance.ts'
import { withoutManagedFields } from '../kube/object.ts'

type Written = { instance: StorageInstance; outdated: Set<string> }

/**
 * What the API server answered to status writes that the cache may not know of yet. A reconcile that went by the cache alone
 * would find its own last write missing, and have its next one refused as outdated.
 */
export class OwnWrites {
  readonly #written = new Map<string, Written>()

  /** `before` was replaced by `after`; only a write that was refused where `before` was not the newest may be noted. */
  note(key: string, before: StorageInstance, after: StorageInstance): void {
    const outdated = this.#written.get(key)?.outdated ?? new Set()
    this.#written.set(key, { instance: withoutManagedFields(after), outdated: outdated.add(versionOf(before)) })
  }

  /** The instance of the cache, or what it was replaced by. */
  newest(key: string, cached: StorageInstance | undefined): StorageInstance | undefined {
    const written = this.#written.get(key)
    if (cached !== undefined && written?.outdated.has(versionOf(cached))) return written.instance
    this.#written.delete(key)
    return cached
  }
}

/** Versions of one object never come again; those of another one of its name do not count. */
function versionOf({ metadata }: StorageInstance): string {
  return `${metadata.uid} ${metadata.resourceVersion}`
}
