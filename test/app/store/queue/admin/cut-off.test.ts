import { describe, expect, test } from 'vitest'
import { QueueAdmin } from '../../../../../app/store/queue/admin/admin.ts'
import { QueueCatalog } from '../../../../../app/store/queue/definition/catalog.ts'
import { makeRoom } from '../../../../support/room.ts'
import { createFixture, newQueue } from './control-fixture.ts'

const { test: db, database, catalog, failures } = await createFixture()

/** Each look at the clock takes five seconds of the twenty that a request has: it is cut after three batches at most. */
function slowClock(): () => number {
  let nowMs = 0
  return () => (nowMs += 5_000)
}

const counted: [string, number][] = []
const observer = {
  query: () => {},
  queueOperation: (operation: string, count: number) => counted.push([operation, count]),
  backgroundError: (task: string, error: unknown) => failures.push(`${task}: ${error}`),
}
const items = new QueueAdmin({ database, observer, catalog, room: makeRoom(), clock: slowClock() })

/** Items `first` to `last` in a state, the first ones oldest. */
async function fill(queue: string, state: string, [first, last]: [number, number], source?: string): Promise<void> {
  await catalog.ensure(queue)
  await db.query(
    `INSERT INTO pgboss.job_common (id, name, state, singleton_key, group_id, source_name, created_on, start_after,
       retry_limit, expire_seconds, keep_until, policy, data)
     SELECT gen_random_uuid(), $1, $2::pgboss.job_state, n::text, 'h' || n % 9, $5,
       now() - interval '1 hour' + n * interval '1 ms', now() - interval '1 hour' + n * interval '1 ms',
       0, 1, 'infinity', 'standard', '{}'
     FROM generate_series($3::integer, $4::integer) AS n`,
    [queue, state, first, last, source],
  )
}

async function count(queue: string): Promise<number> {
  const [row] = await db.query<{ n: number }>('SELECT count(*)::int AS n FROM pgboss.job WHERE name = $1', [queue])
  return row?.n ?? 0
}

/** Asks again while there is more, as a caller does; the answers. */
async function repeated<A extends { more: boolean }>(ask: () => Promise<A>): Promise<A[]> {
  const answers: A[] = []
  while (answers.length < 50) {
    const answer = await ask()
    answers.push(answer)
    if (!answer.more) return answers
  }
  throw new Error('It does not end.')
}

const sum = (numbers: number[]) => numbers.reduce((total, n) => total + n, 0)

describe('what takes too long is cut, and asked for again', () => {
  test('a purge counts each item once', async () => {
    const queue = newQueue()
    await fill(queue, 'created', [1, 13_000])
    await fill(queue, 'retry', [13_001, 14_500])
    await fill(queue, 'failed', [14_501, 14_600])
    counted.length = 0
    const answers = await repeated(() => items.purge(queue, { state: 'waiting' }))

    expect(answers.length).toBeGreaterThan(2)
    expect(sum(answers.map(({ purged }) => purged))).toBe(14_500)
    expect(sum(counted.map(([, n]) => n))).toBe(14_500)
    expect(await count(queue)).toBe(100)
  })

  test('a redrive counts each letter once, those kept as failed and those moved away', async () => {
    const [queue, letters] = [newQueue(), newQueue()]
    await catalog.put(queue, { deadLetter: letters })
    await fill(queue, 'failed', [1, 3_500])
    await fill(letters, 'created', [3_501, 7_000], queue)
    const answers = await repeated(() => items.redrive(queue))

    expect(answers.length).toBeGreaterThan(2)
    expect(sum(answers.map(({ redriven }) => redriven))).toBe(7_000)
    expect(await count(queue)).toBe(7_000)
    expect(await count(letters)).toBe(0)
    const [row] = await db.query(`SELECT count(DISTINCT singleton_key)::int AS n FROM pgboss.job WHERE name = $1`, [
      queue,
    ])
    expect(row).toEqual({ n: 7_000 })
  })

  test('a redrive comes past the letters that stay, and ends', async () => {
    const [queue, letters] = [newQueue(), newQueue()]
    await catalog.put(queue, { deadLetter: letters })
    await fill(letters, 'created', [1, 5_000], queue)
    const { redriven: all } = await new QueueAdmin({ database, observer, catalog, room: makeRoom() }).redrive(queue)
    expect(all).toBe(5_000)
    await fill(letters, 'created', [1, 5_500], queue)
    const answers = await repeated(() => items.redrive(queue))

    expect(answers.length).toBeGreaterThan(2)
    expect(sum(answers.map(({ redriven }) => redriven))).toBe(500)
    expect(await count(letters)).toBe(5_000)
    expect((await repeated(() => items.redrive(queue))).at(-1)).toEqual({ redriven: 0, more: false })
  })

  test('a limit is an end, and not a cut', async () => {
    const queue = newQueue()
    await fill(queue, 'failed', [1, 2_500])
    const patient = new QueueAdmin({ database, observer, catalog, room: makeRoom() })
    expect(await patient.redrive(queue, { limit: 1_500 })).toEqual({ redriven: 1_500, more: false })
    expect(await patient.redrive(queue)).toEqual({ redriven: 1_000, more: false })
  })

  test('what was done before an error is told', async () => {
    const queue = newQueue()
    await fill(queue, 'created', [1, 5_000])
    const failing = Object.create(database)
    let statements = 0
    failing.query = (...values: Parameters<typeof database.query>) => {
      statements += 1
      return statements === 4 ? Promise.reject(new Error('cut off')) : database.query(...values)
    }
    const cut = new QueueAdmin({ database: failing, observer, catalog, room: makeRoom() })
    await expect(cut.purge(queue, { state: 'waiting' })).resolves.toEqual({ purged: 4_000, more: true })
    await expect(cut.purge(queue, { state: 'waiting' })).resolves.toEqual({ purged: 1_000, more: false })
    expect(failures.splice(0)).toEqual(['purge or redrive: Error: cut off'])
  })

  test('a caller who has gone gets nothing done', async () => {
    const queue = newQueue()
    await fill(queue, 'created', [1, 10])
    const signal = AbortSignal.abort()
    expect(await items.purge(queue, { state: 'waiting', signal })).toEqual({ purged: 0, more: true })
    expect(await items.redrive(queue, { signal })).toEqual({ redriven: 0, more: true })
    expect(await count(queue)).toBe(10)
  })

  test('a forced delete is unfinished until the queue is gone', async () => {
    const queue = newQueue()
    await fill(queue, 'created', [1, 32_000])
    const slow = new QueueCatalog(database, { now: slowClock() })
    const left: number[] = []
    const remove = async () => {
      const error = await slow.delete(queue, { force: true }).catch((problem) => problem)
      left.push(await count(queue))
      if (error) expect(error).toMatchObject({ code: 'unfinished', status: 503 })
      return { more: error !== undefined }
    }
    await repeated(remove)

    expect(left).toEqual([17_000, 2_000, 0])
    expect(await catalog.find(queue)).toBeUndefined()
  })
})
