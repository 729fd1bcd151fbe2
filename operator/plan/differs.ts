import { createHash } from 'node:crypto'
import type { KubeObject } from '../api/object.ts'
import { CHILD_ANNOTATIONS } from '../desired/annotations.ts'
import type { Manifest } from '../desired/child.ts'
import { isSameQuantity } from '../desired/quantity.ts'

// Keys that tell the entries of a list apart, where the API server merges lists by them; others may own further entries.
const LIST_KEYS = ['name', 'containerPort', 'port', 'uid', 'mountPath', 'type']

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

/** Whether everything of `wanted` is in `live`; what else is there belongs to the API server or to others. */
export function covers(live: unknown, wanted: unknown): boolean {
  if (isEmpty(wanted)) return isEmpty(live) || (isRecord(wanted) && isRecord(live))
  if (Array.isArray(wanted)) return Array.isArray(live) && coversList(live, wanted)
  if (isRecord(wanted)) {
    return isRecord(live) && Object.entries(wanted).every(([key, value]) => covers(live[key], value))
  }
  return live === wanted || (isQuantity(live) && isQuantity(wanted) && isSameQuantity(live, wanted))
}

function coversList(live: unknown[], wanted: unknown[]): boolean {
  const key = listKeyOf(wanted)
  if (key === undefined) {
    return live.length === wanted.length && wanted.every((entry, index) => covers(live[index], entry))
  }
  return wanted.every((entry) =>
    live.some(
      (candidate) => isRecord(candidate) && candidate[key] === (entry as Fields)[key] && covers(candidate, entry),
    ),
  )
}

/** The key by which the API server merges such a list; undefined where it is taken as a whole. */
export function listKeyOf(wanted: readonly unknown[]): string | undefined {
  return LIST_KEYS.find((candidate) => wanted.every((entry) => isRecord(entry) && candidate in entry))
}

type Fields = Record<string, unknown>

function isRecord(value: unknown): value is Fields {
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
