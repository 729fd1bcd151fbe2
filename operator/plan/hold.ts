import type { StorageInstance } from '../api/storage-instance.ts'

/** What is kept from running for a time, whatever else the spec asks for. */
export type Hold = {
  /** Whether the service is to have no pod. */
  service: boolean
  /** How many pods a managed database is to have. */
  databasePods: 0 | 1
}

/** The one place that decides it: whoever needs the service or the database out of the way says so here. */
export function holdOf({ spec }: StorageInstance): Hold {
  return { service: spec.stopped, databasePods: spec.stopped ? 0 : 1 }
}
