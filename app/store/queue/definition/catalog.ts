import { LIMITS } from '../../../contract.ts'
import { Problem } from '../../../errors.ts'
import type { Database, Session, Statement } from '../../database.ts'
import { type Clock, WorkTime } from '../../work-time.ts'
import type { QueueDefinition, QueueOptions } from './definition.ts'
import { DEFAULT_QUEUE_OPTIONS, QUEUE_NAME, readDefinition, readDefinitions } from './definition.ts'
import type { CacheOptions } from './definition-cache.ts'
import { DefinitionCache } from './definition-cache.ts'
import { deleteQueue } from './queue-delete.ts'
import { LOCK_QUEUES } from './queue-lock.ts'

/** What a put did: whether it made the queue, and what the queue is now. */
export type PutQueue = { created: boolean; definition: QueueDefinition }

export type { Politeness, QueueDefinition, QueueOptions } from './definition.ts'

const COUNT: Statement = { name: 'queue_count', text: 'SELECT count(*) AS count FROM storage.queue' }
// The items carry their own limits (each row says how long it is kept), so pg-boss's limits of the queue are the widest.
const CREATE_IN_BOSS: Statement = {
  name: 'queue_create_boss',
  text: `SELECT pgboss.create_queue($1, '{"policy": "standard", "retryLimit": 2147483647, "expireInSeconds": 2147483647,
    "retentionSeconds": 2147483647, "deleteAfterSeconds": 2147483647}'::jsonb)`,
}
const CREATE: Statement = {
  name: 'queue_create',
  text: 'INSERT INTO storage.queue (name) VALUES ($1) ON CONFLICT DO NOTHING',
}
const SET_OPTIONS: Statement = {
  name: 'queue_set_options',
  text: `UPDATE storage.queue SET retry_limit = $2, retry_delay_seconds = $3, retry_backoff = $4, dead_letter = $5,
    max_age_seconds = $6, keep_done_seconds = $7, delay_seconds = $8, max_active = $9, updated_at = now()
    WHERE name = $1`,
}
const SET_PAUSED: Statement = {
  name: 'queue_set_paused',
  text: 'UPDATE storage.queue SET paused = $2, updated_at = now() WHERE name = $1',
}

/**
 * The queues there are and what each promises. An answer of `find` may be 5 s old (1 s: "there is none"); whatever this
 * process changes itself is seen at once.
 */
export class QueueCatalog {
  readonly #database: Database
  readonly #cache: DefinitionCache
  readonly #clock: Clock
  readonly #creating = new Map<string, Promise<QueueDefinition>>()

  constructor(database: Database, options: CacheOptions = {}) {
    this.#database = database
    this.#clock = options.now ?? (() => performance.now())
    this.#cache = new DefinitionCache((name) => readDefinition(database, name), options)
  }

  /** The queue's definition; undefined where there is none, or the name cannot be a queue's. */
  async find(name: string): Promise<QueueDefinition | undefined> {
    return QUEUE_NAME.test(name) ? this.#cache.get(name) : undefined
  }

  /** The same; a queue that is not there is `not_found`. */
  async get(name: string): Promise<QueueDefinition> {
    return (await this.find(name)) ?? missing(name)
  }

  /** The queue's definition; makes the queue where there is none. `queue_limit` beyond 1,000, `invalid_request` for a bad name. */
  async ensure(name: string): Promise<QueueDefinition> {
    checkName(name)
    const found = await this.#cache.get(name)
    if (found !== undefined) return found
    const pending = this.#creating.get(name)
    if (pending !== undefined) return pending
    const creating = this.#create(name).finally(() => this.#creating.delete(name))
    this.#creating.set(name, creating)
    return creating
  }

  /** Drops what is cached about a queue: for a statement that found it deleted, made anew or changed. */
  forget(name: string): void {
    this.#cache.forget(name)
  }

  /** Drops that there is no such queue: for whoever hears that it has items. */
  forgetMissing(name: string): void {
    this.#cache.forgetMissing(name)
  }

  /** All queues as they are now, in the order of their names. */
  list(): Promise<QueueDefinition[]> {
    return readDefinitions(this.#database)
  }

  /**
   * Makes the queue, or replaces its options: what is not given gets its default. `paused` stays as it is. A dead letter
   * queue that does not exist is made.
   */
  put(name: string, options: Partial<QueueOptions>): Promise<PutQueue> {
    return this.#put(name, options, async () => undefined)
  }

  /** Makes the queue as `put` does, and only that: `precondition_failed` where there is one, which stays as it is. */
  async create(name: string, options: Partial<QueueOptions>): Promise<QueueDefinition> {
    const expectNone = async (session: Session) => {
      if ((await readDefinition(session, name)) !== undefined) {
        throw new Problem('precondition_failed', `There is a queue ${JSON.stringify(name)} already; it stays as it is.`)
      }
    }
    checkName(name)
    // Looked at twice: whoever comes to a queue that was made long ago is not to wait for the lock.
    await expectNone(this.#database)
    return (await this.#put(name, options, expectNone)).definition
  }

  /**
   * Deletes a queue: `queue_not_empty` unless it is empty or `force`, `dead_letter_in_use` while another queue names it.
   * `unfinished` where it has more items than the time allows, or `signal` aborts: fewer are left then, and it is asked again.
   */
  async delete(name: string, { force, signal }: { force: boolean; signal?: AbortSignal }): Promise<void> {
    const time = new WorkTime(signal, this.#clock)
    const definition = (await readDefinition(this.#database, name)) ?? missing(name)
    await deleteQueue(this.#database, definition, { force, time }).finally(() => this.#cache.forget(name))
  }

  /** Pauses or resumes a queue; pops of every replica see it with their next statement. */
  async setPaused(name: string, paused: boolean): Promise<QueueDefinition> {
    const { rowCount } = await this.#database.query(SET_PAUSED, [name, paused])
    this.#cache.forget(name)
    if (rowCount === 0) missing(name)
    return this.get(name)
  }

  async #put(name: string, options: Partial<QueueOptions>, check: (session: Session) => Promise<void>) {
    checkName(name)
    const complete = { ...DEFAULT_QUEUE_OPTIONS, ...options }
    if (complete.deadLetter !== null) checkDeadLetter(name, complete.deadLetter)
    const outcome = await this.#database.transaction(async (session) => {
      await session.query(LOCK_QUEUES)
      await check(session)
      return putWithin(session, name, complete)
    })
    this.#cache.forget(name)
    if (complete.deadLetter !== null) this.#cache.forget(complete.deadLetter)
    return outcome
  }

  async #create(name: string): Promise<QueueDefinition> {
    const definition = await this.#database.transaction(async (session) => {
      await session.query(LOCK_QUEUES)
      await createWithin(session, name)
      return (await readDefinition(session, name)) ?? missing(name)
    })
    this.#cache.forget(name)
    return definition
  }
}

/** Makes or changes a queue, under the lock of `LOCK_QUEUES`. */
async function putWithin(session: Session, name: string, options: QueueOptions): Promise<PutQueue> {
  const created = await createWithin(session, name)
  if (options.deadLetter !== null) await createWithin(session, options.deadLetter)
  await session.query(SET_OPTIONS, [
    name,
    options.retryLimit,
    options.retryDelaySeconds,
    options.retryBackoff,
    options.deadLetter,
    options.maxAgeSeconds,
    options.keepDoneSeconds,
    options.politeness.delaySeconds,
    options.politeness.maxActive,
  ])
  return { created, definition: (await readDefinition(session, name)) ?? missing(name) }
}

/** Makes a queue unless it is there, under the lock of `LOCK_QUEUES`; answers whether it did. */
async function createWithin(session: Session, name: string): Promise<boolean> {
  if ((await readDefinition(session, name)) !== undefined) return false
  const { rows } = await session.query<{ count: number }>(COUNT)
  if ((rows[0]?.count ?? 0) >= LIMITS.queues) {
    throw new Problem('queue_limit', `There are ${LIMITS.queues} queues already; delete one that is no longer needed.`)
  }
  await session.query(CREATE_IN_BOSS, [name])
  await session.query(CREATE, [name])
  return true
}

function checkName(name: string): void {
  if (QUEUE_NAME.test(name)) return
  throw new Problem(
    'invalid_request',
    'A queue name has 1 to 100 letters, digits and _ - . and begins with a letter or digit.',
  )
}

function checkDeadLetter(name: string, deadLetter: string): void {
  const detail =
    deadLetter === name
      ? 'A queue cannot be its own dead letter queue.'
      : 'deadLetter must be a queue name: 1 to 100 letters, digits and _ - . beginning with a letter or digit.'
  if (deadLetter !== name && QUEUE_NAME.test(deadLetter)) return
  throw new Problem('invalid_request', detail, {
    errors: [{ pointer: '/deadLetter', code: 'invalid_text', detail }],
  })
}

function missing(name: string): never {
  throw new Problem('not_found', `There is no queue ${JSON.stringify(name.slice(0, 100))}.`)
}
