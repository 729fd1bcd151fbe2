/** `npm run schema-lock`: writes migrations/schema/schema.lock.json from an empty PostgreSQL of its own. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeSchemaLock } from '../migrations/schema/write-schema-lock.ts'
import { EmbeddedPostgres } from './embedded/embedded-postgres.ts'

const FILE = join(import.meta.dirname, '..', 'migrations', 'schema', 'schema.lock.json')
const DATABASE = 'lock'

const folder = await mkdtemp(join(tmpdir(), 'sonoma-schema-lock-'))
const server = new EmbeddedPostgres({ folder: join(folder, 'postgres'), settings: { fsync: 'off' } })
try {
  await server.start()
  await server.createDatabase(DATABASE)
  const lock = await makeSchemaLock(server.url(DATABASE))
  await writeFile(FILE, `${JSON.stringify(lock, null, 1)}\n`)
  process.stdout.write(`${FILE}: ${lock.fingerprint}\n`)
} finally {
  await server.destroy()
  await rm(folder, { recursive: true, force: true })
}
