import { createHash } from 'node:crypto'
import type { KubeObject } from '../api/object.ts'
import type { Manifest } from '../desired/child.ts'
import { listKeyOf } from './differs.ts'

/**
 * A hash of what an object has in the fields that a stamped one asks for. Admission may rewrite what is applied (another
 * registry, a sidecar), so the API server's answer to an apply is what the object is compared with from then on.
 */
export function admissionOf(object: KubeObject, wanted: Manifest): string {
  const parts = [wanted, project(object, wanted)]
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 32)
}

/** The part of `live` that `wanted` speaks of; entries that it lacks are absent. */
function project(live: unknown, wanted: unknown): unknown {
  if (Array.isArray(wanted) && Array.isArray(live)) return projectList(live, wanted)
  if (!isRecord(wanted) || !isRecord(live)) return live
  return Object.entries(wanted).map(([key, value]) => [key, project(live[key], value)])
}

function projectList(live: unknown[], wanted: unknown[]): unknown {
  const key = listKeyOf(wanted)
  if (key === undefined) return live
  return wanted.map((entry) => {
    const found = live.find((one) => isRecord(one) && one[key] === (entry as Record<string, unknown>)[key])
    return project(found, entry)
  })
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
