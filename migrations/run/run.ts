import { randomUUID } from 'node:crypto'
import { currentActor } from '../database/actor.ts'
import type { DeclaredQueue } from '../database/declared-queues.ts'
import {
  ensureHistory,
  type HistoryRow,
  pendingMigrations,
  readHistory,
  recordFingerprint,
} from '../database/history.ts'
import { claimInstance, type Instance } from '../database/instance.ts'
import { checkPgBoss, migratePgBoss, PG_BOSS_SCHEMA_VERSION, readPgBossVersion } from '../database/pg-boss.ts'
import { type Preflight, preflight } from '../database/preflight.ts'
import { ensureQueues, type QueueChanges } from '../database/queues.ts'
import { ensureRoles, type Roles, type RoleWishes } from '../database/roles.ts'
import type { WorkSession } from '../database/session.ts'
import { sqlState, toMigrationError } from '../errors.ts'
import { type MigrationFile, type RepeatableFiles, readMigrations, readRepeatable } from '../files/files.ts'
import { MIGRATIONS_FOLDER } from '../files/folder.ts'
import {
  type Drift,
  describeDifference,
  fingerprintOf,
  type Query,
  readCatalogue,
  readDrift,
} from '../schema/fingerprint.ts'
import { applyMigration } from './apply.ts'
import { isCurrent, putOn, takeOff } from './repeatable.ts'
import { type RunOptions, withWorkSession } from './run-session.ts'

export type MigrateOptions = RunOptions & {
  /** Numbers of the contract migrations that may run. */
  approveContract?: string[]
  /** Names the state before the run in the WAL, where the role may, so that a restore can go back to it. */
  restorePoint?: boolean
  /** Whom the database is to belong to. */
  instance?: Instance
  /** The owner from whom that instance takes the database over, as the refusal names it. */
  takeOver?: string
  /** Roles beside the owner; without them one role does all. */
  roles?: RoleWishes
  /** Queues that get partitions of their own. */
  queues?: DeclaredQueue[]
  /** Who runs it, for the history; default: user and machine. */
  actor?: string
}

export type MigrateResult = {
  /** What this run applied, in order. */
  applied: string[]
  /** The newest migration that is applied now, and the newest that this release wants without its contracts. */
  version: string
  wanted: string
  /** Contract migrations that wait for their approval. */
  pendingContract: string[]
  pgBoss: number
  restorePoint: string | undefined
  roles: Roles
  queues: QueueChanges
  /** Of the catalogue, and what differs from the committed one. */
  fingerprint: string
  drift: Drift['state']
  differences: string[]
  preflight: Preflight
}

/**
 * Brings a database to this release's schema: pg-boss's own tables, then our files in order. Safe to run at the same time in
 * several places, and after a run that was killed anywhere. Throws MigrationErrors.
 */
export function migrate(options: MigrateOptions): Promise<MigrateResult> {
  return withWorkSession(options, (session) => new MigrationRun(session, options).run())
}

class MigrationRun {
  readonly #session: WorkSession
  readonly #options: MigrateOptions
  readonly #actor: string
  readonly #query: Query
  #restorePoint: string | undefined

  constructor(session: WorkSession, options: MigrateOptions) {
    this.#session = session
    this.#options = options
    this.#query = async <R>(text: string) => (await session.client.query(text)).rows as R[]
    this.#actor = options.actor ?? currentActor()
  }

  async run(): Promise<MigrateResult> {
    const { client } = this.#session
    const folder = this.#options.folder ?? MIGRATIONS_FOLDER
    const [files, repeatable] = await Promise.all([readMigrations(folder), readRepeatable(`${folder}/repeatable`)])
    const found = await preflight(client)
    this.#tell(found)
    await this.#session.transaction(() => ensureHistory(client))
    const { instance, takeOver } = this.#options
    if (instance) await claimInstance(client, instance, takeOver)
    const history = await readHistory(client)
    const { due, waiting } = this.#split(pendingMigrations(files, history))
    if (due.length > 0 && this.#options.restorePoint) this.#restorePoint = await this.#makeRestorePoint()
    await this.#applyAll(due, history, repeatable)
    const queues = await ensureQueues(this.#session, this.#options.queues ?? [])
    const roles = await ensureRoles(this.#session, this.#options.roles)
    const drift = await readDrift(this.#query)
    for (const difference of drift.differences) this.#session.log(`drift: ${describeDifference(difference)}`)
    const applied = (await readHistory(client)).filter((row) => row.state === 'applied')
    return {
      applied: due.map((file) => file.version),
      version: applied.at(-1)?.version ?? '0000',
      wanted: files.findLast((file) => file.header.phase !== 'contract')?.version ?? '0000',
      pendingContract: waiting.map((file) => file.version),
      pgBoss: (await readPgBossVersion(client)) ?? 0,
      restorePoint: this.#restorePoint,
      roles,
      queues,
      fingerprint: drift.fingerprint,
      drift: drift.state,
      differences: drift.differences.map(describeDifference),
      preflight: found,
    }
  }

  #tell({ invalidIndexes, longTransactions }: Preflight): void {
    for (const name of invalidIndexes) this.#session.log(`the index ${name} is invalid: PostgreSQL does not use it`)
    for (const { pid, application, ageSeconds, state } of longTransactions) {
      this.#session.log(`a transaction is open for ${ageSeconds} s: pid ${pid}, application ${application}, ${state}`)
    }
  }

  /** A contract that is not approved waits; one that was begun goes on. */
  #split(pending: MigrationFile[]): { due: MigrationFile[]; waiting: MigrationFile[] } {
    const approved = new Set(this.#options.approveContract)
    const waits = (file: MigrationFile) => file.header.phase === 'contract' && !approved.has(file.version)
    return { due: pending.filter((file) => !waits(file)), waiting: pending.filter(waits) }
  }

  async #makeRestorePoint(): Promise<string | undefined> {
    const name = `storage-${new Date().toISOString().replace(/[-:]|\.\d+/g, '')}-${randomUUID().slice(0, 8)}`
    try {
      await this.#session.client.query('SELECT pg_create_restore_point($1)', [name])
      this.#session.log(`restore point ${name}`)
      return name
    } catch (error) {
      if (!['42501', '55000'].includes(sqlState(error) ?? '')) throw error
      this.#session.log(`no restore point: ${toMigrationError(error).message}`)
      return undefined
    }
  }

  async #applyAll(due: MigrationFile[], history: HistoryRow[], repeatable: RepeatableFiles): Promise<void> {
    const { client } = this.#session
    const bossVersion = (await readPgBossVersion(client)) ?? 0
    const bossIsCurrent = bossVersion >= PG_BOSS_SCHEMA_VERSION
    const objectsAreCurrent = await isCurrent(this.#session, repeatable)
    if (!bossIsCurrent || !objectsAreCurrent) await takeOff(this.#session, repeatable)
    if (!bossIsCurrent) await migratePgBoss(this.#session)
    if (bossVersion <= PG_BOSS_SCHEMA_VERSION) await checkPgBoss(this.#session)
    for (const file of due)
      await this.#apply(
        file,
        history.find((row) => row.version === file.version),
      )
    if (!bossIsCurrent || !objectsAreCurrent) await putOn(this.#session, repeatable)
  }

  async #apply(file: MigrationFile, row: HistoryRow | undefined): Promise<void> {
    this.#session.throwIfAborted()
    this.#session.log(`${row ? 'going on with' : 'applying'} migration ${file.label}`)
    await applyMigration(file, {
      session: this.#session,
      actor: this.#actor,
      row,
      fingerprint: await this.#fingerprint(),
      restorePoint: this.#restorePoint,
    })
    await recordFingerprint(this.#session.client, file.version, await this.#fingerprint())
  }

  async #fingerprint(): Promise<string> {
    return fingerprintOf((await readCatalogue(this.#query)).objects)
  }
}
