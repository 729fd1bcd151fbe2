import { execFile } from 'node:child_process'
import { cp, mkdir, readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { cached } from './cache.ts'

const run = promisify(execFile)

const LIBRARIES = 'usr/lib/x86_64-linux-gnu'
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg'

/**
 * What Debian ships. 1.18 knows nothing of prepared statements; 1.24 keeps track of them. Each comes with the libraries of its
 * own release, because it runs on no older ones.
 */
const RELEASES = {
  '1.18.0': {
    suite: 'bookworm',
    packages:
      'pgbouncer libc6 libevent-2.1-7 libc-ares2 libssl3 libsystemd0 libpam0g libaudit1 libcap-ng0 libcap2 libgcrypt20 libgpg-error0 liblz4-1 liblzma5 libzstd1',
  },
  '1.24.1': {
    suite: 'trixie',
    packages:
      'pgbouncer libc6 libevent-2.1-7t64 libcares2 libssl3t64 libsystemd0 libpam0g libaudit1 libcap-ng0 libcap2 zlib1g libzstd1',
  },
} as const

export type PgBouncerVersion = keyof typeof RELEASES

/**
 * Puts the programs of this PgBouncer into a folder, for an account that may not see the user's cache, and answers its command
 * line without its arguments. They are 10 MB from Debian's archive, once for each machine.
 */
export async function pgBouncerIn(folder: string, version: PgBouncerVersion): Promise<[string, ...string[]]> {
  const kept = await cached(`pgbouncer-${version}`, (content, scratch) => fetchInto(content, scratch, version))
  await cp(kept, folder, { recursive: true, verbatimSymlinks: true })
  const loader = (await exists(join(folder, LIBRARIES, 'ld-linux-x86-64.so.2'))) ? LIBRARIES : 'lib/x86_64-linux-gnu'
  const libraries = [join(folder, LIBRARIES), join(folder, 'lib/x86_64-linux-gnu')].join(':')
  return [join(folder, loader, 'ld-linux-x86-64.so.2'), '--library-path', libraries, join(folder, 'usr/sbin/pgbouncer')]
}

async function fetchInto(folder: string, work: string, version: PgBouncerVersion): Promise<void> {
  const { suite, packages } = RELEASES[version]
  const apt = await listsOf(suite, work)
  await run('apt-get', [...apt, 'download', ...packages.split(' ')], { cwd: work })
  for (const file of (await readdir(work)).filter((name) => name.endsWith('.deb'))) {
    if (file.startsWith('pgbouncer_') && !file.startsWith(`pgbouncer_${version}-`)) {
      throw new Error(`${suite} has ${file}; the tests are written for PgBouncer ${version}.`)
    }
    await run('dpkg-deb', ['-x', join(work, file), folder])
  }
}

/** Options of apt-get for a release that need not be that of this machine, from the mirror that this machine uses. */
async function listsOf(suite: string, work: string): Promise<string[]> {
  const format = ['--format', '$(LABEL) $(REPO_URI)', 'Created-By: Packages']
  const { stdout } = await run('apt-get', ['indextargets', ...format])
  const mirror = /^Debian (\S+)$/m.exec(stdout)?.[1]
  if (mirror === undefined) throw new Error('This machine knows no mirror of Debian; `apt-get update` first.')
  await Promise.all(
    ['lists/partial', 'cache/archives/partial'].map((name) => mkdir(join(work, name), { recursive: true })),
  )
  await writeFile(join(work, 'sources.list'), `deb [signed-by=${KEYRING}] ${mirror} ${suite} main\n`)
  const settings = [
    `Dir::Etc::sourcelist=${work}/sources.list`,
    'Dir::Etc::sourceparts=/dev/null',
    `Dir::State::lists=${work}/lists`,
    'Dir::State::status=/dev/null',
    `Dir::Cache=${work}/cache`,
    'APT::Architecture=amd64',
    // Root would otherwise download as the user `_apt`, who cannot write here.
    `APT::Sandbox::User=${process.getuid?.() === 0 ? 'root' : ''}`,
  ]
  const options = settings.flatMap((setting) => ['-o', setting])
  await run('apt-get', [...options, '--error-on=any', 'update'])
  return options
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined
}
