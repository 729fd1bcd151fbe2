import { createHash } from 'node:crypto'
import type { Resources } from '../../api/fields.ts'
import type { ManagedDatabase } from '../../api/instance/database.ts'
import type { StorageInstance } from '../../api/storage-instance.ts'
import { poolConnections } from '../api/pool-connections.ts'
import { child, type Manifest } from '../child.ts'
import { DEFAULT_RESOURCES, memoryOf, resourcesOr } from '../container-resources.ts'
import { parseQuantity } from '../quantity.ts'
import { PG_HBA, postgresqlConf } from './settings.ts'

/** A managed database as it is asked for, and the connections that its server keeps although fewer would do. */
export type TunedDatabase = ManagedDatabase & { leastConnections?: number }

/** CPU and memory of PostgreSQL. */
export function databaseResources({ resources }: ManagedDatabase): Resources {
  return resourcesOr(DEFAULT_RESOURCES.database, resources)
}

/** Bytes of memory that PostgreSQL may use. */
export function databaseMemory(database: ManagedDatabase): number {
  return memoryOf(databaseResources(database), DEFAULT_RESOURCES.database)
}

/** The files that PostgreSQL reads at its start. */
export function databaseFiles(instance: StorageInstance, database: TunedDatabase): Record<string, string> {
  // What is wished for may not be had.
  const volumeSize = instance.status?.database?.volumeSize ?? database.storage.size
  return filesFor(instance, database, parseQuantity(volumeSize) ?? 0)
}

function filesFor(instance: StorageInstance, database: TunedDatabase, volumeBytes: number): Record<string, string> {
  const tuning = {
    memoryBytes: databaseMemory(database),
    volumeBytes,
    poolConnections: poolConnections(instance.spec),
    leastConnections: database.leastConnections,
  }
  return { 'postgresql.conf': postgresqlConf(tuning, database.parameters), 'pg_hba.conf': PG_HBA }
}

/** The ConfigMap with those files. */
export function databaseConfig(instance: StorageInstance, database: TunedDatabase): Manifest {
  const options = { apiVersion: 'v1', kind: 'ConfigMap', purpose: 'db' } as const
  return child(instance, options, { data: databaseFiles(instance, database) })
}

/** Changes when the server has to be started again with other files. What follows from the size of the volume waits for the next start. */
export function databaseConfigHash(instance: StorageInstance, database: TunedDatabase): string {
  const files = JSON.stringify(filesFor(instance, database, 0))
  return createHash('sha256').update(files).digest('hex').slice(0, 16)
}
