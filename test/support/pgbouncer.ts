import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, chown, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { chooseAccount } from '../../app/embedded/account.ts'
import { findFreePort } from '../../app/embedded/free-port.ts'
import { eventually } from './eventually.ts'
import { type PgBouncerVersion, pgBouncerIn } from './pgbouncer-programs.ts'

export type PgBouncerOptions = {
  version: PgBouncerVersion
  /** The server behind it, with the user that everybody is. */
  target: string
  /** An empty folder for its files. */
  folder: string
}

/** A PgBouncer in transaction mode with Debian's settings otherwise. */
export class PgBouncer {
  readonly #child: ChildProcess
  readonly #port: number
  readonly #target: URL
  readonly #kill = () => void this.#child.kill('SIGKILL')

  private constructor(child: ChildProcess, port: number, target: URL) {
    this.#child = child
    this.#port = port
    this.#target = target
    process.once('exit', this.#kill)
  }

  /** Starts it and answers when it takes connections. */
  static async start({ version, target, folder }: PgBouncerOptions): Promise<PgBouncer> {
    const [program, ...args] = await pgBouncerIn(join(folder, 'programs'), version)
    const url = new URL(target)
    const port = await findFreePort()
    const place = join(folder, 'pgbouncer')
    await mkdir(place, { recursive: true })
    const { uid, gid } = await chooseAccount(place)
    await writeFile(join(place, 'users'), `"${url.username}" "${decodeURIComponent(url.password)}"\n`)
    await writeFile(join(place, 'ini'), settings(url, port, place))
    await Promise.all([place, join(place, 'users'), join(place, 'ini')].map((path) => chown(path, uid, gid)))
    await chmod(place, 0o700)
    const child = spawn(program, [...args, '-q', join(place, 'ini')], { uid, gid, stdio: 'ignore' })
    const bouncer = new PgBouncer(child, port, url)
    await eventually(() => bouncer.#answers())
    return bouncer
  }

  /** The address of a database by way of it. */
  url(databaseUrl: string): string {
    const url = new URL(databaseUrl)
    url.host = `127.0.0.1:${this.#port}`
    return url.href
  }

  async stop(): Promise<void> {
    process.off('exit', this.#kill)
    if (this.#child.exitCode !== null) return
    const ended = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await ended
  }

  async #answers(): Promise<void> {
    if (this.#child.exitCode !== null) throw new Error(`PgBouncer ended with exit code ${this.#child.exitCode}.`)
    const client = new pg.Client({ connectionString: this.url(this.#target.href) })
    client.on('error', () => undefined)
    await client.connect()
    await client.end()
  }
}

// Idle connections to the server end soon, because tests drop their databases.
const settings = ({ hostname, port: target }: URL, port: number, folder: string): string => `
[databases]
* = host=${hostname} port=${target}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = trust
auth_file = ${folder}/users
pool_mode = transaction
max_client_conn = 1000
default_pool_size = 20
server_login_retry = 1
server_idle_timeout = 1
`
