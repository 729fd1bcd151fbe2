import type { Statement } from '../../database.ts'

/** Held to the end of a transaction that makes or deletes queues: one at a time, so that the limit on queues is exact. */
export const LOCK_QUEUES: Statement = { name: 'queue_lock', text: 'SELECT pg_advisory_xact_lock(7305124911735)' }
