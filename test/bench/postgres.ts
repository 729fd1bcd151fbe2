/** The bench's own PostgreSQL: one server, one database for each side, both migrated, nothing switched off that protects data. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import pg from 'pg'
import { from as copyFrom, to as copyTo } from 'pg-copy-streams'
import { EmbeddedPostgres } from '../../app/embedded/embedded-postgres.ts'
import { migrate } from '../../migrations/run/run.ts'
import { LEAN_TABLE } from './baseline/lean.ts'
import { QUEUE } from './data.ts'

/** The service and what it is compared with. Each has a database of its own, so neither vacuums or caches for the other. */
export const SIDES = ['ours', 'baseline'] as const
export type Side = (typeof SIDES)[number]

/** As a server of this size would be set, but that checkpoints run between the rounds instead of inside one. */
const SETTINGS = {
  fsync: 'on',
  synchronous_commit: 'on',
  full_page_writes: 'on',
  shared_buffers: '1GB',
  effective_cache_size: '4GB',
  maintenance_work_mem: '256MB',
  random_page_cost: '1.1',
  max_connections: '100',
  max_wal_size: '16GB',
  checkpoint_timeout: '1h',
}

/** Settings for `--profile`: statements are counted and timed. */
const PROFILE_SETTINGS = { shared_preload_libraries: 'pg_stat_statements', 'pg_stat_statements.track': 'all' }

const FEED_OFF = `
  DROP INDEX IF EXISTS public.documents_changed_idx;
  ALTER TABLE public.documents ALTER COLUMN changed_xid SET DEFAULT '1', DISABLE TRIGGER USER;`

/** A running server with both databases. */
export class BenchPostgres {
  readonly #server: EmbeddedPostgres
  readonly #clients: Record<Side, pg.Client>
  /** A folder for files of the bench; deleted by `stop()`. */
  readonly folder: string

  static async start(options: { profile: boolean; log: (line: string) => void }): Promise<BenchPostgres> {
    const folder = await mkdtemp(join(tmpdir(), 'sonoma-bench-'))
    const settings = { ...SETTINGS, ...(options.profile && PROFILE_SETTINGS) }
    const server = new EmbeddedPostgres({ folder: join(folder, 'postgres'), settings, log: options.log })
    await server.start()
    for (const side of SIDES) {
      await server.createDatabase(side)
      await migrate({ databaseUrl: server.url(side) })
    }
    const [ours, baseline] = await Promise.all(SIDES.map((side) => connect(server.url(side), options.profile)))
    if (!ours || !baseline) throw new Error('Both databases are connected here.')
    return new BenchPostgres(server, { ours, baseline }, folder)
  }

  private constructor(server: EmbeddedPostgres, clients: Record<Side, pg.Client>, folder: string) {
    this.#server = server
    this.#clients = clients
    this.folder = folder
  }

  /** Process number of the postmaster. */
  get pid(): number {
    return this.#server.pid ?? 0
  }

  url(side: Side): string {
    return this.#server.url(side)
  }

  /** Runs SQL of the bench itself in one side's database. */
  async query<R extends pg.QueryResultRow>(side: Side, sql: string, values: unknown[] = []): Promise<R[]> {
    return (await this.#clients[side].query<R>(sql, values)).rows
  }

  /** Where the write-ahead log stands, in bytes. */
  async walBytes(): Promise<number> {
    const [row] = await this.query<{ bytes: string }>('ours', `SELECT pg_current_wal_lsn() - '0/0' AS bytes`)
    return Number(row?.bytes)
  }

  /**
   * Takes away the garbage of what ran before, so that the next slice does not pay for it; where autovacuum is to do that,
   * only the checkpoint is made.
   */
  async tidy(side: Side, isAutovacuumed: boolean): Promise<void> {
    if (!isAutovacuumed) await this.#vacuum(side)
    await this.query(side, 'CHECKPOINT')
  }

  async #vacuum(side: Side): Promise<void> {
    await this.query(side, 'VACUUM (ANALYZE) public.documents, pgboss.job_common, storage.queue_host')
    if (side === 'baseline') await this.query(side, 'VACUUM (ANALYZE) bench.item')
  }

  /** Switches autovacuum on or off for the whole server. */
  async setAutovacuum(isOn: boolean): Promise<void> {
    await this.query('ours', `ALTER SYSTEM SET autovacuum = ${isOn ? 'on' : 'off'}`)
    await this.query('ours', 'SELECT pg_reload_conf()')
  }

  /** Both databases as they were after the migration; the baseline's has the bench's queue, ours makes it at a push. */
  async empty(): Promise<void> {
    for (const side of SIDES) {
      await this.query(side, 'TRUNCATE public.documents, pgboss.job_common, storage.queue_host')
      await this.query(side, 'DELETE FROM storage.queue')
      await this.query(side, 'DELETE FROM pgboss.queue WHERE name = $1', [QUEUE])
    }
    await this.makeQueue('baseline')
    await this.query('baseline', LEAN_TABLE)
    await this.query('baseline', 'TRUNCATE bench.item')
  }

  /** Makes the bench's queue as pg-boss does, for a side that does not make it by itself. */
  async makeQueue(side: Side): Promise<void> {
    await this.query(side, 'SELECT pgboss.create_queue($1, $2)', [QUEUE, { policy: 'standard' }])
  }

  /** Takes off what the change feed costs a writer: a table that somebody makes for themselves has none. */
  async withoutFeed(side: Side): Promise<void> {
    await this.query(side, FEED_OFF)
  }

  /** Gives the baseline the rows that a table of ours has. */
  async copyToBaseline(table: string): Promise<void> {
    await this.query('baseline', `TRUNCATE ${table}`)
    await pipeline(
      this.#clients.ours.query(copyTo(`COPY ${table} TO STDOUT (FORMAT binary)`)),
      this.#clients.baseline.query(copyFrom(`COPY ${table} FROM STDIN (FORMAT binary)`)),
    )
  }

  async stop(): Promise<void> {
    await Promise.all(SIDES.map((side) => this.#clients[side].end()))
    await this.#server.destroy()
    await rm(this.folder, { recursive: true, force: true })
  }
}

async function connect(connectionString: string, profile: boolean): Promise<pg.Client> {
  const client = new pg.Client({ connectionString })
  await client.connect()
  if (profile) await client.query('CREATE EXTENSION IF NOT EXISTS pg_stat_statements')
  return client
}
