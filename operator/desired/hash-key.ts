import type { StorageInstance } from '../api/storage-instance.ts'
import { child, type Manifest } from './child.ts'

/** The only value in the Secret with the hash key. */
export const HASH_KEY_FIELD = 'key'

/**
 * The Secret with the key by which hashes of credentials are made, without its random content. A hash without a key, in an
 * annotation that many may read, would let anybody try passwords against it.
 */
export function hashKeySecret(instance: StorageInstance): Manifest {
  return child(instance, { apiVersion: 'v1', kind: 'Secret', purpose: 'hash-key' }, {})
}
