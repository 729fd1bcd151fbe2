/** Makes the database cluster, once. */
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chown, lstat, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Account } from './account.ts'
import type { Binaries } from './binaries.ts'
import { EmbeddedPostgresError } from './errors.ts'
import { dataFolderIn, type Place } from './place.ts'
import { listProcesses } from './processes.ts'

/** The superuser of the embedded server. */
export const SUPERUSER = 'postgres'

/** How a cluster is made. Without `fsync` it may be lost in a crash of the machine: for tests. */
export type InitOptions = {
  place: Place
  binaries: Binaries
  fsync: boolean
  /** Arguments of initdb; ours when absent. */
  locale?: readonly string[] | undefined
  signal: AbortSignal
}

// The builtin provider sorts by code point on every machine, whatever its C library.
const LOCALE = ['--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8']

/** Makes the cluster unless it exists, and gives the superuser's password. */
export async function initialise(options: InitOptions): Promise<string> {
  const { place } = options
  const exists = await lstat(join(dataFolderIn(place.folder), 'PG_VERSION')).catch(() => undefined)
  const password = await readPassword(place, exists !== undefined)
  if (!exists) await initdb(options)
  return password
}

async function readPassword(place: Place, mustExist: boolean): Promise<string> {
  const file = passwordFile(place)
  if (!mustExist) await makePassword(file, place.account)
  const password = await readFile(file, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    const message = `The password of the database cannot be read from ${file} (${cause.code}).`
    throw new EmbeddedPostgresError('not_permitted', message, { cause })
  })
  return password.trim()
}

function passwordFile({ folder }: Place): string {
  return join(folder, 'password')
}

async function makePassword(file: string, account: Account): Promise<void> {
  const found = await lstat(file).catch(() => undefined)
  if (!found) await writeFile(file, `${randomBytes(24).toString('base64url')}\n`, { mode: 0o600, flush: true })
  if (account.foreign) await chown(file, account.uid, account.gid)
}

// Into a folder of its own, renamed when complete: an initdb that is killed half-way has written PG_VERSION already.
async function initdb(options: InitOptions): Promise<void> {
  const { folder } = options.place
  await removeLeftovers(folder)
  const draft = join(folder, `initdb-${process.pid}`)
  await run(options, draft)
  await rename(draft, dataFolderIn(folder)).catch(async (cause: NodeJS.ErrnoException) => {
    await rm(draft, { recursive: true, force: true })
    const message = `The database in ${folder} was made by another process at the same moment: start again.`
    throw new EmbeddedPostgresError('in_use', message, { cause })
  })
}

async function removeLeftovers(folder: string): Promise<void> {
  const running = new Set(listProcesses().map(({ pid }) => pid))
  for (const name of await readdir(folder)) {
    const owner = Number(/^initdb-(\d+)$/.exec(name)?.[1] ?? process.pid)
    const isLeft = name.startsWith('initdb-') && (owner === process.pid || !running.has(owner))
    if (isLeft) await rm(join(folder, name), { recursive: true, force: true, maxRetries: 5 })
  }
}

function initdbArguments(options: InitOptions, draft: string): string[] {
  const password = `--pwfile=${passwordFile(options.place)}`
  const locale = ['--encoding=UTF8', ...(options.locale ?? LOCALE)]
  const safety = ['--auth=scram-sha-256', '--data-checksums', ...(options.fsync ? [] : ['--no-sync'])]
  return ['-D', draft, '-U', SUPERUSER, password, ...locale, ...safety]
}

async function run(options: InitOptions, draft: string): Promise<void> {
  const { place, binaries, signal } = options
  const child = spawn(binaries.initdb, initdbArguments(options, draft), {
    ...spawnOptions(place),
    signal,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  child.stdout.on('data', (chunk) => (output += chunk))
  child.stderr.on('data', (chunk) => (output += chunk))
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  }).catch((cause: Error) => {
    if (signal.aborted) throw new EmbeddedPostgresError('stopped', 'PostgreSQL was stopped while it was started.')
    throw new EmbeddedPostgresError('failed', `initdb cannot be run (${cause.message}).`, { cause })
  })
  if (code !== 0) throw new EmbeddedPostgresError('failed', `The database could not be made: ${lastLines(output)}`)
}

/**
 * How the programs are spawned: as the account, in a session of their own (Ctrl-C is for this process alone), without
 * this process's environment, whose PG* variables would steer them.
 */
export function spawnOptions({ folder, account }: Place) {
  const user = account.foreign ? { uid: account.uid, gid: account.gid } : {}
  const env = { PATH: process.env.PATH ?? '/usr/bin:/bin', LC_ALL: 'C' }
  return { ...user, cwd: folder, detached: true, env }
}

/** The end of a program's output, on one line. */
export function lastLines(output: string, count = 4): string {
  return output.trim().split('\n').slice(-count).join(' ')
}
