import { createHash } from 'node:crypto'
import type { KubeObject } from '../../api/object.ts'
import type { Manifest } from '../../desired/child.ts'
import { entryLike, isRecord } from './differs.ts'
import { isAtomic, mergeKeysAt, placeIn } from './merge-rules.ts'

/**
 * A hash of what an object has in the fields that a stamped one asks for. Admission may rewrite what is applied (another
 * registry, a sidecar), so the API server's answer to an apply is what the object is compared with from then on.
 */
export function admissionOf(object: KubeObject, wanted: Manifest): string {
  const parts = [wanted, project(object, wanted, '')]
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 32)
}

/** The part of `live` that `wanted` speaks of; entries that it lacks are absent. */
function project(live: unknown, wanted: unknown, place: string): unknown {
  const keys = mergeKeysAt(place)
  if (Array.isArray(wanted) && Array.isArray(live) && keys !== undefined) {
    return wanted.map((entry) => project(entryLike(live, entry, keys), entry, place))
  }
  if (!isRecord(wanted) || !isRecord(live) || isAtomic(place)) return live
  return Object.entries(wanted).map(([key, value]) => [key, project(live[key], value, placeIn(place, key))])
}
