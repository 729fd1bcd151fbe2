/** What the outside may rely on by name: ports, paths and limits of the service. Imported by the manifests and the operator. */

/** Port of the HTTP interface. */
export const HTTP_PORT = 8003
/** Port of the Prometheus metrics. */
export const METRICS_PORT = 9095
/** Audience that a Kubernetes service account token must carry. */
export const TOKEN_AUDIENCE = 'storage.sonoma.dev'

/** The oldest schema that this release runs on: the newest migration that it cannot do without. */
export const REQUIRED_SCHEMA_VERSION = '0004'

/** Limits of the interface that are not configurable. */
export const LIMITS = {
  documentsPerRequest: 10_000,
  lookupIds: 1_000,
  deleteIds: 1_000,
  listLimit: 1_000,
  listDefault: 100,
  itemsPerRequest: 10_000,
  itemIdBytes: 2_048,
  urlBytes: 2_048,
  leaseSecondsMin: 1,
  leaseSecondsMax: 12 * 3_600,
  waitSecondsMax: 20,
  queues: 1_000,
  queueNameLength: 100,
  importErrorLines: 1_000,
  jsonDepth: 64,
  jsonValues: 150_000,
  jsonValuesTogether: 3_000_000,
} as const

/** Levels of access, each with the ones before it. */
export const ACCESS_LEVELS = ['Read', 'Write', 'Admin'] as const
export type Access = (typeof ACCESS_LEVELS)[number]
