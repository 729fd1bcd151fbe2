import { execFile } from 'node:child_process'
import { appendFile, chown, mkdir, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import { EmbeddedPostgres } from '../../app/embedded/embedded-postgres.ts'
import { dataFolderIn } from '../../app/embedded/place.ts'
import type { OwnServer } from './database.ts'
import { atEndOfFile } from './end-of-file.ts'
import { eventually } from './eventually.ts'
import { temporaryFolder } from './temporary.ts'

const run = promisify(execFile)

/**
 * Starts a server that follows another one: a copy of its files, made while it runs (PostgreSQL, "Making a Base Backup Using
 * the Low Level API"), that streams what comes. It ends, and its data goes, with the file.
 */
export async function startStandby(primary: OwnServer): Promise<OwnServer> {
  const folder = await copyFiles(primary)
  const data = dataFolderIn(folder)
  await appendFile(join(data, 'postgresql.auto.conf'), `primary_conninfo = '${primary.server.url('postgres')}'\n`)
  await writeLike(data, 'standby.signal', '')
  return startIn(folder)
}

/** Makes a base backup; what it answers starts a server from it, at any later time, that is as the other one was then. */
export async function backUp(primary: OwnServer): Promise<() => Promise<OwnServer>> {
  const folder = await copyFiles(primary)
  return () => startIn(folder)
}

async function startIn(folder: string): Promise<OwnServer> {
  const server = new EmbeddedPostgres({ folder, settings: { shared_buffers: '64MB', max_connections: 200 } })
  atEndOfFile(() => server.destroy())
  await server.start()
  return { server, url: server.url('sonoma'), folder }
}

/** Waits until a standby has everything that was committed on its primary. */
export async function followed(primary: OwnServer, standby: OwnServer): Promise<void> {
  const [row] = await ask(primary, 'SELECT pg_current_wal_flush_lsn() AS lsn')
  await eventually(async () => {
    const [state] = await ask(standby, 'SELECT pg_last_wal_replay_lsn() >= $1 AS has_all', [row?.lsn])
    return state?.has_all === true
  })
}

/** The standby hears nothing of its primary any more. */
export async function cutOff(standby: OwnServer): Promise<void> {
  await ask(standby, `ALTER SYSTEM SET primary_conninfo = ''`)
  await ask(standby, 'SELECT pg_reload_conf()')
  await eventually(async () => (await ask(standby, 'SELECT FROM pg_stat_wal_receiver')).length === 0)
}

/** The primary is gone, with what only it had; the standby takes its place. */
export async function failOver(primary: OwnServer, standby: OwnServer): Promise<void> {
  await primary.server.kill()
  await ask(standby, 'SELECT pg_promote()')
}

async function copyFiles(primary: OwnServer): Promise<string> {
  const folder = join(await temporaryFolder(), 'copy')
  await mkdir(folder, { recursive: true })
  const client = new pg.Client({ connectionString: primary.url })
  await client.connect()
  try {
    await client.query(`SELECT pg_backup_start('standby', true)`)
    await run('cp', ['-a', `${primary.folder}/.`, folder])
    const { rows } = await client.query<{ labelfile: string }>('SELECT labelfile FROM pg_backup_stop(false)')
    const data = dataFolderIn(folder)
    // The backup is whole with what was logged while it was made.
    await run('cp', ['-a', `${join(dataFolderIn(primary.folder), 'pg_wal')}/.`, join(data, 'pg_wal')])
    await writeLike(data, 'backup_label', rows[0]?.labelfile ?? '')
    await Promise.all(['postmaster.pid', 'postmaster.opts'].map((name) => rm(join(data, name), { force: true })))
    return folder
  } finally {
    await client.end()
  }
}

/** Writes a file that belongs to the account of the folder. */
async function writeLike(folder: string, name: string, text: string): Promise<void> {
  const { uid, gid } = await stat(folder)
  await writeFile(join(folder, name), text)
  await chown(join(folder, name), uid, gid)
}

async function ask({ url }: OwnServer, text: string, values: unknown[] = []): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query(text, values)).rows
  } finally {
    await client.end()
  }
}
