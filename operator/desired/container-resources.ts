import type { Resources } from '../api/fields.ts'
import { parseQuantity } from './quantity.ts'

/** What a container gets where the spec says nothing. */
export const DEFAULT_RESOURCES = {
  api: { requests: { cpu: '100m', memory: '192Mi' }, limits: { memory: '512Mi' } },
  database: { requests: { cpu: '250m', memory: '512Mi' }, limits: { memory: '1Gi' } },
  task: { requests: { cpu: '50m', memory: '96Mi' }, limits: { memory: '512Mi' } },
} as const satisfies Record<string, Resources>

/** The resources of the spec, or those of `fallback` where it names none at all. */
export function resourcesOr(fallback: Resources, given: Resources = {}): Resources {
  return given.requests === undefined && given.limits === undefined ? fallback : given
}

/** Bytes that a container may use: its limit, else what it asked for, else that of `fallback`. */
export function memoryOf(given: Resources, fallback: Resources): number {
  const candidates = [given.limits, given.requests, fallback.limits].map((list) => parseQuantity(list?.memory))
  return candidates.find((bytes) => bytes !== undefined) ?? 2 ** 30
}
