/**
 * What a managed database offers beside its owner's schema, in the order in which it was added. The version of a database's
 * provisioning is how many of these it has, so a new one goes to the end and none is ever taken away.
 */
export const PROVISIONS = ['backupRole', 'extensions', 'monitoring'] as const
export type Provision = (typeof PROVISIONS)[number]

/** The version that this release brings every managed database to. */
export const PROVISIONING_VERSION = PROVISIONS.length

/**
 * The bootstrap superuser of a managed database, named as the container's user. It has no password, and logs in by the socket
 * of its own pod only.
 */
export const SUPERUSER = 'postgres'

/** The role of backups in a managed database: it replicates, reads what it is granted, and owns nothing. */
export const BACKUP_ROLE = 'storage_backup'
