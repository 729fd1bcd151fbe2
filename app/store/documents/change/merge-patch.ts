import { isObject, type RawObject } from '../../check.ts'

/** Applies a JSON merge patch (RFC 7396) to an object: null removes a key, objects are merged, anything else replaces. */
export function mergePatch(target: RawObject, patch: RawObject): RawObject {
  const merged: Record<string, unknown> = { ...target }
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete merged[key]
    else if (isObject(value)) merged[key] = mergePatch(objectOr(merged[key]), value)
    else merged[key] = value
  }
  return merged
}

function objectOr(value: unknown): RawObject {
  return isObject(value) ? value : {}
}
