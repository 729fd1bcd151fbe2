import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { dataFolderIn } from '../../app/embedded/place.ts'
import type { OwnServer } from './database.ts'

/** Restarts a server as a standby that has lost its primary: it answers what reads, and `pg_promote()` makes it a primary. */
export async function demote({ server, folder }: OwnServer): Promise<void> {
  await server.stop()
  await writeFile(join(dataFolderIn(folder), 'standby.signal'), '')
  await server.start()
}
