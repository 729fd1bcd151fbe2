import type pg from 'pg'
import { MigrationError } from '../errors.ts'

/** Whom a database belongs to: a StorageInstance. */
export type Instance = { namespace: string; name: string; uid: string }

/** Reads `namespace/name/uid`; undefined where the text is something else. */
export function parseInstance(text: string): Instance | undefined {
  const [namespace, name, uid, ...rest] = text.split('/')
  return namespace && name && uid && rest.length === 0 ? { namespace, name, uid } : undefined
}

/** The owner that is written in the database; undefined where there is none yet. */
export async function readInstance(client: pg.ClientBase): Promise<Instance | undefined> {
  const { rows } = await client.query<Instance>('SELECT namespace, name, uid FROM storage.instance')
  return rows[0]
}

/**
 * Writes the instance into the database as its owner. One of the same namespace and name that was made anew takes its
 * database over; another one is refused with `claimed` and the owner's name.
 */
export async function claimInstance(client: pg.ClientBase, instance: Instance): Promise<void> {
  const { rows } = await client.query<Instance>(
    `INSERT INTO storage.instance AS owner (namespace, name, uid) VALUES ($1, $2, $3)
     ON CONFLICT (id) DO UPDATE SET uid = excluded.uid
       WHERE owner.namespace = excluded.namespace AND owner.name = excluded.name
     RETURNING namespace, name, uid`,
    [instance.namespace, instance.name, instance.uid],
  )
  if (rows.length > 0) return
  const owner = await readInstance(client)
  throw new MigrationError(
    'claimed',
    `The database belongs to the StorageInstance ${owner?.namespace}/${owner?.name}; give ${instance.namespace}/${instance.name} one of its own. Where that instance is gone for good: DELETE FROM storage.instance.`,
  )
}
