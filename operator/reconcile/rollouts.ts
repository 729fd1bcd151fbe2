import type { StorageInstance } from '../api/storage-instance.ts'
import { keyOf } from '../kube/object.ts'

/** One instance in so many, where nobody has said how many. */
const SHARE = 20

export type RolloutsOptions = {
  /** How many instances change at a time; undefined: one in twenty, at least one. */
  limit: number | undefined
  /** All instances, as they are known. */
  fleet: () => readonly StorageInstance[]
  /** Has an instance (`namespace/name`) reconciled again. */
  again: (key: string) => void
}

/**
 * Lets only so many instances change at a time for reasons of the operator's own, such as a new release. Who has a place is in
 * the status of the instances, so that a new leader knows. Those that are ready go first; one that does not become ready again
 * keeps its place, so that a bad release stops there.
 */
export class Rollouts {
  readonly #options: RolloutsOptions
  /** Keys that have a place, of which the caches may not know yet. */
  readonly #placed = new Set<string>()
  readonly #waiting = new Set<string>()
  /** Keys that were looked at since the start. */
  readonly #seen = new Set<string>()

  constructor(options: RolloutsOptions) {
    this.#options = options
  }

  /** Whether an instance that is to be changed has its place, or one is free for it. If not, it is told when one is. */
  mayChange(instance: StorageInstance): boolean {
    const key = keyOf(instance)
    this.#seen.add(key)
    if (this.#placed.has(key) || hasPlace(instance)) return true
    this.#waiting.add(key)
    const fleet = this.#options.fleet()
    if (!this.#isFree(fleet) || !(isReady(instance) || this.#isNobodyReady(fleet))) return false
    this.#waiting.delete(key)
    this.#placed.add(key)
    this.#callNext(fleet)
    return true
  }

  /** An instance needs no place (any more). */
  leave(key: string): void {
    this.#seen.add(key)
    this.#placed.delete(key)
    this.#waiting.delete(key)
    if (this.#waiting.size > 0) this.#callNext(this.#options.fleet())
  }

  /** An instance is gone. */
  forget(key: string): void {
    this.leave(key)
    this.#seen.delete(key)
  }

  #isFree(fleet: readonly StorageInstance[]): boolean {
    const taken = new Set([...this.#placed, ...fleet.filter(hasPlace).map(keyOf)])
    return taken.size < (this.#options.limit ?? Math.max(1, Math.floor(fleet.length / SHARE)))
  }

  /** Of all that are to be changed; whether one is to be is known once it was looked at. */
  #isNobodyReady(fleet: readonly StorageInstance[]): boolean {
    return fleet.every((one) => this.#seen.has(keyOf(one)) && !(this.#waiting.has(keyOf(one)) && isReady(one)))
  }

  /** One is enough: when it has its place, it calls the next. */
  #callNext(fleet: readonly StorageInstance[]): void {
    if (!this.#isFree(fleet)) return
    const waiting = fleet.filter((one) => this.#waiting.has(keyOf(one)))
    const next = waiting.find(isReady) ?? (this.#isNobodyReady(fleet) ? waiting[0] : undefined)
    if (next !== undefined) this.#options.again(keyOf(next))
  }
}

/** Nothing happens to an instance that is paused, so it takes no place. */
function hasPlace({ spec, status, metadata }: StorageInstance): boolean {
  return status?.rollout?.startedAt !== undefined && !spec.paused && metadata.deletionTimestamp === undefined
}

function isReady({ status }: StorageInstance): boolean {
  return status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') ?? false
}
