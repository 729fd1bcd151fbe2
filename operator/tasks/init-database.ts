/**
 * Runs before the managed PostgreSQL server starts, in the image that serves it: makes the data folder on an empty volume,
 * refuses one that this release cannot serve, sees to the roles and the database, and checks the configuration.
 * Exit codes: 0 done, 1 failed (the termination message says why).
 */
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PROVISIONING_VERSION, SUPERUSER } from '../api/provisions.ts'
import { checkConfiguration, initdb, serverMajor } from './database-programs.ts'
import { LocalServer } from './local-server.ts'
import { type Credentials, provideDatabase } from './provide-database.ts'
import { lendSuperuser } from './provisioning.ts'
import { failureOf, TaskError } from './task-error.ts'
import { writeTerminationMessage } from './termination-message.ts'

const DRAFT_SUFFIX = '.draft'
// Longer than any crash recovery that somebody would wait for; the kubelet starts it anew afterwards.
const READY_TIMEOUT_MS = 3_600_000

type Places = { volume: string; data: string; sockets: string; configuration: string; credentials: string }

process.exitCode = await main().catch((error: unknown) => {
  const failure = failureOf(error)
  process.stderr.write(`${failure.error}\n`)
  writeTerminationMessage(failure)
  return 1
})

async function main(): Promise<number> {
  const places = readPlaces()
  await provideData(places)
  await checkMajor(places)
  await checkConfiguration(places.data, join(places.configuration, 'postgresql.conf'))
  await provideRoles(places)
  return 0
}

function readPlaces(): Places {
  const data = process.env.PGDATA ?? '/var/lib/postgresql/data/pgdata'
  return {
    volume: join(data, '..'),
    data,
    sockets: process.env.SOCKET_FOLDER ?? '/var/run/postgresql',
    configuration: process.env.CONFIGURATION_FOLDER ?? '/etc/sonoma-storage/postgresql',
    credentials: process.env.CREDENTIALS_FOLDER ?? '/etc/sonoma-storage/credentials',
  }
}

/** Into a draft that is renamed when complete: an initdb that is killed half-way has written PG_VERSION already. */
async function provideData({ volume, data }: Places): Promise<void> {
  if (existsSync(join(data, 'PG_VERSION'))) return
  const draft = `${data}${DRAFT_SUFFIX}`
  await rm(draft, { recursive: true, force: true })
  await mkdir(volume, { recursive: true })
  process.stdout.write(`making the data folder ${data}\n`)
  await initdb(draft, SUPERUSER)
  await rename(draft, data)
}

async function checkMajor({ data }: Places): Promise<void> {
  const [found, serves] = [(await readFile(join(data, 'PG_VERSION'), 'utf8')).trim(), await serverMajor()]
  if (found === serves) return
  throw new TaskError(
    'wrong_major_version',
    `The volume holds data of PostgreSQL ${found}, and this image serves ${serves}: use an image of ${found}, or restore a logical backup into a new instance.`,
  )
}

/** A server is started for it only where something has changed: its start is a crash recovery after a kill. */
async function provideRoles(places: Places): Promise<void> {
  const credentials = await readCredentials(places.credentials)
  const marker = join(places.volume, 'provided')
  const wanted = createHash('sha256')
    .update(JSON.stringify([credentials, PROVISIONING_VERSION]))
    .digest('hex')
  if ((await readFile(marker, 'utf8').catch(() => '')) === wanted) return
  const server = await LocalServer.start({ ...places, user: SUPERUSER, readyTimeoutMs: READY_TIMEOUT_MS })
  try {
    await provideDatabase(server, credentials)
    await prepareProvisioning(server, credentials)
  } finally {
    await server.stop()
  }
  await writeFile(`${marker}${DRAFT_SUFFIX}`, wanted, { mode: 0o600, flush: true })
  await rename(`${marker}${DRAFT_SUFFIX}`, marker)
}

/** A database of an earlier version is brought forward by a run, which is let in here. */
async function prepareProvisioning(server: LocalServer, { username, dbname }: Credentials): Promise<void> {
  const client = await server.connect('postgres')
  try {
    await lendSuperuser(client, { name: username, database: dbname })
  } finally {
    await client.end()
  }
}

/** The Secret as it is mounted: a file a key. Kubernetes' own entries begin with two dots. */
async function readCredentials(folder: string): Promise<Credentials> {
  const names = (await readdir(folder)).filter((name) => !name.startsWith('..'))
  const entries = await Promise.all(names.map(async (name) => [name, await readFile(join(folder, name), 'utf8')]))
  const { dbname, 'owner-username': username, 'owner-password': password } = Object.fromEntries(entries)
  if (dbname && username && password) return { dbname, username, password }
  throw new TaskError('no_credentials', 'The Secret of the database has no dbname, owner-username or owner-password.')
}
