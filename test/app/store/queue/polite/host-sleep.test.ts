import fc from 'fast-check'
import type pg from 'pg'
import { expect, test } from 'vitest'
import type { Session } from '../../../../../app/store/database.ts'
import { silentObserver } from '../../../../../app/store/observer.ts'
import { politeHosts } from '../../../../../app/store/queue/polite/due-hosts.ts'
import { sleepDueHosts } from '../../../../../app/store/queue/polite/host-sleep.ts'
import { pushWithin } from '../../../../../app/store/queue/push/push.ts'
import { HostHousekeeping } from '../../../../../app/store/queue/upkeep/host-housekeeping.ts'
import { createTestDatabase } from '../../../../support/database.ts'
import { createReplica, newQueue } from '../admin/control-fixture.ts'
import { connect, gated, untilAtGate } from '../gate.ts'

// No host is ever lost: whatever pushes commit late, and whatever the housekeeping does meanwhile. The clock of all statements
// is moved, and not what they wrote: when a row was written is part of what is tested.
const db = await createTestDatabase()
await db.query(`
  CREATE SCHEMA clock;
  CREATE TABLE clock.passed (seconds double precision NOT NULL);
  INSERT INTO clock.passed VALUES (0);
  CREATE FUNCTION clock.now() RETURNS timestamptz LANGUAGE sql STABLE
    AS 'SELECT pg_catalog.now() + (SELECT seconds FROM clock.passed) * interval ''1 second''';
  CREATE FUNCTION clock.statement_timestamp() RETURNS timestamptz LANGUAGE sql STABLE
    AS 'SELECT pg_catalog.statement_timestamp() + (SELECT seconds FROM clock.passed) * interval ''1 second''';
  CREATE FUNCTION clock.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE
    AS 'SELECT pg_catalog.clock_timestamp() + (SELECT seconds FROM clock.passed) * interval ''1 second''';
  ALTER DATABASE ${db.name} SET search_path TO clock, pg_catalog;
`)
const { store, catalog, database } = createReplica(db)
const housekeeping = new HostHousekeeping({ database, observer: silentObserver })

const HOSTS = ['a.example', 'b.example', 'c.example']
const GATE = 8_100
/** The longest that a sleeping host is not looked at while a transaction may hold items of it. */
const LOOK_SECONDS = 60
const RUNS = Number(process.env.FC_RUNS ?? 40)

const holder = await connect(db)

/** A session that pushes in a transaction: it can be stopped before it has written anything, and before it commits. */
class LateSession {
  readonly #client: pg.Client
  readonly #gate: number
  #pushing: Promise<unknown> | undefined
  #isGated = false
  host: string | undefined
  id = ''

  constructor(client: pg.Client, gate: number) {
    this.#client = client
    this.#gate = gate
  }

  async begin(queue: string, host: string, id: string): Promise<void> {
    Object.assign(this, { host, id })
    await holder.query('SELECT pg_advisory_lock($1)', [this.#gate])
    this.#isGated = true
    await this.#client.query('BEGIN')
    this.#pushing = pushWithin(this.#session(), await catalog.ensure(queue), [
      { id, priority: 0, payloadJson: '{}', group: host },
    ])
    await untilAtGate(db, this.#gate)
  }

  /** It writes, and does not commit yet. */
  async write(): Promise<void> {
    if (this.#isGated) await holder.query('SELECT pg_advisory_unlock($1)', [this.#gate])
    this.#isGated = false
    await this.#pushing
  }

  async commit(): Promise<void> {
    await this.write()
    if (this.host !== undefined) await this.#client.query('COMMIT')
    this.host = undefined
  }

  /** The gate is passed after the push has taken its snapshot, and before it writes. */
  #session(): Session {
    const query = async (statement: { text: string }, values?: unknown[]) => {
      const text = gated(statement.text, 'unnest($5::uuid[]', this.#gate)
      const { rows, rowCount } = await this.#client.query(text, values)
      return { rows, rowCount: rowCount ?? 0 }
    }
    return { query: query as Session['query'] }
  }
}

const sessions = [new LateSession(await connect(db), GATE), new LateSession(await connect(db), GATE + 1)]

/** What was pushed and committed, and is there. */
type Model = { waiting: Set<string> }
type Real = { queue: string }
type Command = fc.AsyncCommand<Model, Real>
let ids = 0

const isHeld = (host: string) => sessions.some((session) => session.host === host)

function command(name: string, check: () => boolean, run: (model: Model, real: Real) => Promise<void>): Command {
  return { check, run, toString: () => name }
}

const push = (host: string) =>
  command(
    `push ${host}`,
    () => !isHeld(host),
    async (model, { queue }) => {
      const id = `${++ids}`
      await store.push(queue, [{ id, group: host }])
      model.waiting.add(id)
    },
  )

const begin = (session: LateSession, host: string) =>
  command(
    `begin ${host}`,
    () => session.host === undefined && !isHeld(host),
    (_, { queue }) => session.begin(queue, host, `${++ids}`),
  )

const write = (session: LateSession) =>
  command(
    'write',
    () => session.host !== undefined,
    () => session.write(),
  )

const commit = (session: LateSession) =>
  command(
    'commit',
    () => session.host !== undefined,
    async (model) => {
      await session.commit()
      model.waiting.add(session.id)
    },
  )

const takeAll = command(
  'take all',
  () => true,
  async (model, { queue }) => {
    for (const { id } of await store.pop(queue, { count: 1_000 })) model.waiting.delete(id)
  },
)

const keepHouse = command(
  'keep house',
  () => true,
  async () => void (await housekeeping.runOnce()),
)

const sleepDue = command(
  'sleep',
  () => true,
  async (_, { queue }) => {
    await sleepDueHosts(database, await catalog.get(queue), 1_000)
  },
)

/** What has begun writes at once, and not only after seconds. */
const advance = (seconds: number) =>
  command(
    `advance ${seconds}`,
    () => true,
    async () => {
      for (const session of sessions) await session.write()
      await db.query('UPDATE clock.passed SET seconds = seconds + $1', [seconds])
    },
  )

/** All that a polite pop finds that begins with the hosts. */
async function findByHosts(queue: string): Promise<Set<string>> {
  const statement = politeHosts({ take: 'remove', form: 'gated' }).for({ tableName: 'job_common' })
  const { rows } = await database.query<{ key: string | null }>(statement, [
    queue,
    ...[0, 1_000, 1_000, 0, null],
    ...[1e9, 0, null],
    ...[1_000, null],
  ])
  return new Set(rows.flatMap(({ key }) => key ?? []))
}

const host = fc.constantFrom(...HOSTS)
const session = fc.constantFrom(...sessions)
const commands = [
  host.map(push),
  fc.tuple(session, host).map(([which, name]) => begin(which, name)),
  session.map(write),
  session.map(commit),
  fc.constant(takeAll),
  fc.constant(keepHouse),
  fc.constant(sleepDue),
  fc.constantFrom(1, 10, 10, 30).map(advance),
]

test(
  'whatever commits late, each host with items is found again within a minute',
  async () => {
    const property = fc.asyncProperty(fc.commands(commands, { size: '+1' }), async (sequence) => {
      const queue = newQueue()
      await store.push(
        queue,
        HOSTS.map((name) => ({ group: name })),
      )
      await store.pop(queue, { count: 100 })
      const model: Model = { waiting: new Set() }
      await fc
        .asyncModelRun(() => ({ model, real: { queue } }), sequence)
        .finally(async () => {
          for (const one of sessions.filter(({ host: held }) => held !== undefined)) {
            await one.commit()
            model.waiting.add(one.id)
          }
        })
      await db.query('UPDATE clock.passed SET seconds = seconds + $1', [LOOK_SECONDS])
      expect(await findByHosts(queue)).toEqual(model.waiting)
      await catalog.delete(queue, { force: true })
      await db.query('UPDATE clock.passed SET seconds = 0')
    })
    await fc.assert(property, { numRuns: RUNS })
  },
  60_000 + RUNS * 2_000,
)
