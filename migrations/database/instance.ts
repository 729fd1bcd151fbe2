import type pg from 'pg'
import { MigrationError } from '../errors.ts'

/** Whom a database belongs to: a StorageInstance. `cluster` is the uid of its cluster, where that is known. */
export type Instance = { namespace: string; name: string; uid: string; cluster?: string | undefined }

/** Reads `namespace/name/uid`; undefined where the text is something else. */
export function parseInstance(text: string): Instance | undefined {
  const [namespace, name, uid, ...rest] = text.split('/')
  return namespace && name && uid && rest.length === 0 ? { namespace, name, uid } : undefined
}

/** The owner that is written in the database; undefined where there is none yet. */
export async function readInstance(client: pg.ClientBase): Promise<Instance | undefined> {
  const { rows } = await client.query<Instance>('SELECT namespace, name, uid FROM storage.instance')
  return rows[0] && ownerOf(rows[0])
}

/** The owner of a row. Its uid begins with that of the cluster; rows of earlier releases have only the instance's own. */
export function ownerOf({ namespace, name, uid }: Instance): Instance {
  const [own = '', cluster] = uid.split('/').reverse()
  return { namespace, name, uid: own, ...(cluster && { cluster }) }
}

/**
 * Writes the instance into the database as its owner, under the lock of the run. One of the same cluster, namespace and name
 * that was made anew takes its database over, and so does one of that name where no cluster was written down yet. Another one
 * has to name the owner in `takeOver` as `instanceName` does, and is refused with `claimed` and that name otherwise.
 */
export async function claimInstance(client: pg.ClientBase, instance: Instance, takeOver?: string): Promise<void> {
  const owner = await readInstance(client)
  const isSame = owner !== undefined && isSameInstance(owner, instance)
  if (owner !== undefined && !isSame && takeOver !== instanceName(owner)) throw claimedBy(owner, instance)
  const cluster = instance.cluster ?? (isSame ? owner.cluster : undefined)
  const uid = [cluster, instance.uid].filter(Boolean).join('/')
  await client.query(
    `INSERT INTO storage.instance AS owner (namespace, name, uid) VALUES ($1, $2, $3)
     ON CONFLICT (id) DO UPDATE SET namespace = excluded.namespace, name = excluded.name, uid = excluded.uid, claimed_at = now()
       WHERE (owner.namespace, owner.name, owner.uid) <> (excluded.namespace, excluded.name, excluded.uid)`,
    [instance.namespace, instance.name, uid],
  )
}

/** `<uid of the cluster>/<namespace>/<name>`, without the first part where it is not known. */
export function instanceName({ cluster, namespace, name }: Instance): string {
  return [cluster, namespace, name].filter(Boolean).join('/')
}

function isSameInstance(owner: Instance, { cluster, namespace, name }: Instance): boolean {
  if (owner.namespace !== namespace || owner.name !== name) return false
  return owner.cluster === undefined || cluster === undefined || owner.cluster === cluster
}

function claimedBy(owner: Instance, instance: Instance): MigrationError {
  return new MigrationError(
    'claimed',
    `The database belongs to the StorageInstance ${instanceName(owner)}, not to ${instanceName(instance)}`,
  )
}
