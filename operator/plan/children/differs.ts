import { createHash } from 'node:crypto'
import type { KubeObject } from '../../api/object.ts'
import { CHILD_ANNOTATIONS } from '../../desired/annotations.ts'
import type { Manifest } from '../../desired/child.ts'
import { isSameQuantity } from '../../desired/quantity.ts'
import { isAtomic, isQuantityAt, mergeKeysAt, placeIn } from './merge-rules.ts'

/** The same object with the hash of all of it in an annotation. */
export function stamped(object: Manifest): Manifest {
  const hash = createHash('sha256').update(JSON.stringify(object)).digest('hex').slice(0, 32)
  const annotations = { ...object.metadata.annotations, [CHILD_ANNOTATIONS.applied]: hash }
  return { ...object, metadata: { ...object.metadata, annotations } }
}

/** Whether a live object is not what a stamped one asks for: another wish was applied last, or somebody has edited it. */
export function differs(live: KubeObject, wanted: Manifest): 'no' | 'changed' | 'edited' {
  const stamp = (object: KubeObject) => object.metadata.annotations?.[CHILD_ANNOTATIONS.applied]
  if (stamp(live) !== stamp(wanted)) return 'changed'
  return covers(live, wanted) ? 'no' : 'edited'
}

/**
 * Whether everything of `wanted` is in `live`; what else is there belongs to the API server or to others, but for what the API
 * server takes as a whole. `place` is where in an object the two are.
 */
export function covers(live: unknown, wanted: unknown, place = ''): boolean {
  if (isEmpty(wanted)) return isEmpty(live) || (isRecord(wanted) && isRecord(live) && !isAtomic(place))
  if (Array.isArray(wanted)) return Array.isArray(live) && coversList(live, wanted, place)
  if (isRecord(wanted)) return isRecord(live) && coversRecord(live, wanted, place)
  return (
    live === wanted || (isQuantityAt(place) && isQuantity(live) && isQuantity(wanted) && isSameQuantity(live, wanted))
  )
}

function coversRecord(live: Fields, wanted: Fields, place: string): boolean {
  if (isAtomic(place) && !isWhole(live, wanted)) return false
  return Object.entries(wanted).every(([key, value]) => covers(live[key], value, placeIn(place, key)))
}

function coversList(live: unknown[], wanted: unknown[], place: string): boolean {
  const keys = mergeKeysAt(place)
  if (keys === undefined) {
    return live.length === wanted.length && wanted.every((entry, index) => isWhole(live[index], entry))
  }
  return wanted.every((entry) => covers(entryLike(live, entry, keys), entry, place))
}

/** Nothing is missing and nothing was added, at any depth; the API server leaves out what is empty. */
function isWhole(live: unknown, wanted: unknown): boolean {
  if (isEmpty(wanted) || isEmpty(live)) return isEmpty(wanted) && isEmpty(live)
  if (Array.isArray(wanted) && Array.isArray(live)) {
    return live.length === wanted.length && wanted.every((entry, index) => isWhole(live[index], entry))
  }
  if (!isRecord(wanted) || !isRecord(live)) return live === wanted
  return Object.keys({ ...live, ...wanted }).every((key) => isWhole(live[key], wanted[key]))
}

/** The entry of a merged list that has the same keys; one that is not asked for is what the API server fills in. */
export function entryLike(live: readonly unknown[], wanted: unknown, keys: readonly string[]): unknown {
  const asked = isRecord(wanted) ? wanted : {}
  return live.find((one) => isRecord(one) && keys.every((key) => asked[key] === undefined || one[key] === asked[key]))
}

type Fields = Record<string, unknown>

/** Whether a value has fields: an object that is no list. */
export function isRecord(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** What the API server does not store: it leaves empty values out of many fields. */
function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === '' || value === false || value === 0) return true
  if (Array.isArray(value)) return value.length === 0
  return isRecord(value) && Object.keys(value).length === 0
}

function isQuantity(value: unknown): value is string | number {
  return typeof value === 'string' || typeof value === 'number'
}
