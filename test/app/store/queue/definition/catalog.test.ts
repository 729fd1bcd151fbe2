import { describe, expect, test } from 'vitest'
import { QueueCatalog } from '../../../../../app/store/queue/definition/catalog.ts'
import { createFixture, createReplica, itemsOf, newQueue } from '../admin/control-fixture.ts'

const { test: db, catalog, store, hosts, database } = await createFixture()
const other = createReplica(db)

const names = async () => (await catalog.list()).map((queue) => queue.name)
const bossNames = (name: string) => db.query('SELECT name FROM pgboss.queue WHERE name = $1', [name])

describe('making queues', () => {
  test('a queue made by a push has the defaults, in pg-boss and here', async () => {
    const queue = newQueue()
    await store.push(queue, itemsOf('a.example', 1))

    expect(await catalog.find(queue)).toEqual({
      name: queue,
      tableName: 'job_common',
      retryLimit: null,
      retryDelaySeconds: 0,
      retryBackoff: false,
      deadLetter: null,
      maxAgeSeconds: null,
      keepDoneSeconds: 0,
      politeness: { delaySeconds: 0, maxActive: null },
      paused: false,
    })
    expect(await db.query('SELECT policy, partition FROM pgboss.queue WHERE name = $1', [queue])).toEqual([
      { policy: 'standard', partition: false },
    ])
  })

  test('many who make the same queue at once, in two replicas, get the same one', async () => {
    const queue = newQueue()
    const made = await Promise.all(Array.from({ length: 20 }, (_, n) => [catalog, other.catalog][n % 2]?.ensure(queue)))
    expect(new Set(made.map((definition) => JSON.stringify(definition)))).toHaveLength(1)
    expect(await bossNames(queue)).toHaveLength(1)
  })

  test.each(['', '-a', '.a', '__a', 'a b', 'ä', 'a/b', 'x'.repeat(101)])('the name %j is refused', async (name) => {
    await expect(catalog.ensure(name)).rejects.toMatchObject({ code: 'invalid_request' })
    await expect(catalog.put(name, {})).rejects.toMatchObject({ code: 'invalid_request' })
    expect(await catalog.find(name)).toBeUndefined()
  })

  test.each(['a', '0', 'A_b-c.d', 'x'.repeat(100)])('the name %j is allowed', async (name) => {
    expect(await catalog.ensure(name)).toMatchObject({ name })
  })
})

describe('a queue that is only to be made', () => {
  test('has the options that are given, and its dead letter queue is made with it', async () => {
    const [queue, dead] = [newQueue(), newQueue()]
    const made = await catalog.create(queue, { retryLimit: 2, deadLetter: dead })
    expect(made).toMatchObject({ name: queue, retryLimit: 2, deadLetter: dead, keepDoneSeconds: 0 })
    expect(await other.catalog.find(queue)).toEqual(made)
    expect(await catalog.find(dead)).toMatchObject({ deadLetter: null })
  })

  test('stays as it is where it is there already, and nothing else is made', async () => {
    const [queue, dead] = [newQueue(), newQueue()]
    await catalog.put(queue, { retryLimit: 2 })
    await catalog.setPaused(queue, true)
    const refused = { code: 'precondition_failed' }
    await expect(catalog.create(queue, { deadLetter: dead })).rejects.toMatchObject(refused)
    await expect(other.catalog.create(queue, {})).rejects.toMatchObject(refused)
    expect(await catalog.find(queue)).toMatchObject({ retryLimit: 2, deadLetter: null, paused: true })
    expect(await names()).not.toContain(dead)
  })

  test('leaves a dead letter queue that is there as it is, whoever else uses it', async () => {
    const [one, two, dead] = [newQueue(), newQueue(), newQueue()]
    await catalog.put(dead, { keepDoneSeconds: 60 })
    await catalog.put(one, { deadLetter: dead })
    const before = await catalog.find(dead)
    await catalog.create(two, { deadLetter: dead })
    expect(await catalog.find(dead)).toEqual(before)
    expect(await catalog.find(one)).toMatchObject({ deadLetter: dead })
  })

  test('is made by exactly one of many who try at once, in two replicas', async () => {
    const queue = newQueue()
    const creations = Array.from({ length: 20 }, (_, n) =>
      ([catalog, other.catalog][n % 2] as QueueCatalog).create(queue, { retryLimit: n }),
    )
    const outcomes = await Promise.allSettled(creations)
    const made = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []))
    expect(made).toHaveLength(1)
    expect(await catalog.find(queue)).toEqual(made[0])
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: 'precondition_failed' })
    }
  })

  test('and one that a push makes at the same time are one queue: either the options hold, or it is refused', async () => {
    for (let round = 0; round < 10; round += 1) {
      const queue = newQueue()
      const creation = catalog.create(queue, { retryLimit: 7 }).then(
        () => 7,
        (error) => {
          expect(error).toMatchObject({ code: 'precondition_failed' })
          return null
        },
      )
      await other.store.push(queue, [{ id: 'a' }])
      const retryLimit = await creation
      expect(await new QueueCatalog(database).find(queue)).toMatchObject({ retryLimit })
      expect(await store.peek(queue, 2)).toMatchObject([{ id: 'a' }])
    }
  })
})

describe('what find answers', () => {
  /** A catalog whose clock the test moves. */
  function createClocked() {
    let now = 0
    const clocked = new QueueCatalog(database, { now: () => now })
    return { clocked, pass: (ms: number) => (now += ms) }
  }

  test('may be 5 s old, and no older', async () => {
    const queue = newQueue()
    const { clocked, pass } = createClocked()
    await clocked.ensure(queue)
    expect(await clocked.find(queue)).toMatchObject({ retryLimit: null })
    await catalog.put(queue, { retryLimit: 7 })

    pass(4_999)
    expect(await clocked.find(queue)).toMatchObject({ retryLimit: null })
    pass(1)
    expect(await clocked.find(queue)).toMatchObject({ retryLimit: 7 })
  })

  test('that there is none may be 1 s old, and no older', async () => {
    const queue = newQueue()
    const { clocked, pass } = createClocked()
    expect(await clocked.find(queue)).toBeUndefined()
    await catalog.ensure(queue)

    pass(999)
    expect(await clocked.find(queue)).toBeUndefined()
    pass(1)
    expect(await clocked.find(queue)).toMatchObject({ name: queue })
  })

  test('is read once for all who ask at a time, and anew after a change here', async () => {
    const queue = newQueue()
    await catalog.ensure(queue)
    let reads = 0
    const counting = Object.assign(Object.create(database), {
      query: (...args: Parameters<typeof database.query>) => {
        reads += 1
        return database.query(...args)
      },
    })
    const counted = new QueueCatalog(counting)
    await Promise.all(Array.from({ length: 50 }, () => counted.find(queue)))
    expect(reads).toBe(1)
    counted.forget(queue)
    await counted.find(queue)
    expect(reads).toBe(2)
  })

  test('is not the failure of a moment before', async () => {
    const queue = newQueue()
    await catalog.ensure(queue)
    let fails = true
    const failing = Object.assign(Object.create(database), {
      query: (...args: Parameters<typeof database.query>) =>
        fails ? Promise.reject(new Error('away')) : database.query(...args),
    })
    const catalogOfFailing = new QueueCatalog(failing)
    await expect(catalogOfFailing.find(queue)).rejects.toThrow('away')
    fails = false
    expect(await catalogOfFailing.find(queue)).toMatchObject({ name: queue })
  })
})

describe('options', () => {
  test('are replaced as a whole; what is not given gets its default', async () => {
    const queue = newQueue()
    const options = {
      retryLimit: 3,
      retryDelaySeconds: 10,
      retryBackoff: true,
      maxAgeSeconds: 60,
      keepDoneSeconds: 5,
      politeness: { delaySeconds: 1.5, maxActive: 2 },
    }
    expect(await catalog.put(queue, options)).toMatchObject({ created: true, definition: { ...options, name: queue } })
    expect(await catalog.find(queue)).toMatchObject(options)
    expect(await catalog.put(queue, { retryLimit: 0 })).toMatchObject({
      created: false,
      definition: {
        retryLimit: 0,
        retryDelaySeconds: 0,
        maxAgeSeconds: null,
        politeness: { delaySeconds: 0, maxActive: null },
      },
    })
  })

  test('a dead letter queue that is not there is made', async () => {
    const [queue, dead] = [newQueue(), newQueue()]
    await catalog.find(dead)
    await catalog.put(queue, { deadLetter: dead })
    expect(await catalog.find(queue)).toMatchObject({ deadLetter: dead })
    expect(await catalog.find(dead)).toMatchObject({ name: dead, deadLetter: null })
  })

  test.each([
    ['itself', (name: string) => name],
    ['no queue name', () => '-'],
  ])('a dead letter queue that is %s is refused', async (_, deadLetter) => {
    const queue = newQueue()
    await expect(catalog.put(queue, { deadLetter: deadLetter(queue) })).rejects.toMatchObject({
      code: 'invalid_request',
      options: { errors: [{ pointer: '/deadLetter' }] },
    })
    expect(await names()).not.toContain(queue)
  })

  test('of a change act on items that are there', async () => {
    const queue = newQueue()
    await store.push(queue, itemsOf('a.example', 1))
    const [item] = await store.pop(queue, { count: 1, leaseSeconds: 60 })
    await catalog.put(queue, { retryLimit: 0 })
    await store.nack(queue, [{ receipt: item?.receipt }])
    expect(await db.query('SELECT state FROM pgboss.job WHERE name = $1', [queue])).toEqual([{ state: 'failed' }])
  })

  test('a change leaves a pause as it is', async () => {
    const queue = newQueue()
    await catalog.put(queue, {})
    await catalog.setPaused(queue, true)
    expect((await catalog.put(queue, { retryLimit: 1 })).definition.paused).toBe(true)
  })
})

describe('a pause', () => {
  test('acts at once on pops of another replica that knows the queue', async () => {
    const queue = newQueue()
    await other.store.push(queue, itemsOf('a.example', 2))
    expect(await other.store.pop(queue, { count: 1 })).toHaveLength(1)

    await catalog.setPaused(queue, true)
    await expect(other.store.pop(queue, { count: 1 })).rejects.toMatchObject({ code: 'queue_paused' })
    expect(await other.store.push(queue, itemsOf('b.example', 1))).toMatchObject([{ result: 'created' }])
    await catalog.setPaused(queue, false)
    expect(await other.store.pop(queue, { count: 5 })).toHaveLength(2)
  })

  test('of a queue that is not there is not_found', async () => {
    await expect(catalog.setPaused(newQueue(), true)).rejects.toMatchObject({ code: 'not_found' })
  })
})

describe('deleting', () => {
  test('an empty queue takes its hosts with it', async () => {
    const queue = newQueue()
    await store.push(queue, itemsOf('a.example', 1))
    await hosts.put(queue, 'b.example', { delaySeconds: 1 })
    await store.pop(queue, { count: 1 })

    await catalog.delete(queue, { force: false })

    expect(await catalog.find(queue)).toBeUndefined()
    expect(await bossNames(queue)).toEqual([])
    expect(await db.query('SELECT host FROM storage.queue_host WHERE queue = $1', [queue])).toEqual([])
  })

  test.each(['waiting', 'leased', 'done'])('a queue with a %s item needs force', async (state) => {
    const queue = newQueue()
    await catalog.put(queue, { keepDoneSeconds: 60 })
    await store.push(queue, itemsOf('a.example', 1))
    if (state !== 'waiting') await store.pop(queue, { count: 1, leaseSeconds: state === 'leased' ? 60 : null })

    await expect(catalog.delete(queue, { force: false })).rejects.toMatchObject({ code: 'queue_not_empty' })
    await catalog.delete(queue, { force: true })
    expect(await db.query('SELECT id FROM pgboss.job WHERE name = $1', [queue])).toEqual([])
  })

  test('by force goes through more than one batch', async () => {
    const queue = newQueue()
    await store.push(
      queue,
      Array.from({ length: 6_000 }, () => ({})),
    )
    await catalog.delete(queue, { force: true })
    expect(await names()).not.toContain(queue)
  })

  test('a dead letter queue in use is refused, by force too', async () => {
    const [queue, dead] = [newQueue(), newQueue()]
    await catalog.put(queue, { deadLetter: dead })
    await expect(catalog.delete(dead, { force: true })).rejects.toMatchObject({ code: 'dead_letter_in_use' })
    await catalog.put(queue, {})
    await catalog.delete(dead, { force: false })
    expect(await names()).not.toContain(dead)
  })

  test('a queue that is not there is not_found', async () => {
    await expect(catalog.delete(newQueue(), { force: true })).rejects.toMatchObject({ code: 'not_found' })
  })

  test('loses no item that was pushed meanwhile', async () => {
    const queue = newQueue()
    const pushed: string[] = []
    let pushing = true
    const push = async (replica: typeof other) => {
      while (pushing) {
        const [result] = await replica.store.push(queue, [{}])
        if (result?.result === 'created') pushed.push(result.id as string)
        if (pushed.length % 5 === 0) await emptied(replica)
      }
    }
    // What is popped is accounted for; only then is the queue empty, and may go.
    const popped: string[] = []
    const emptied = async (replica: typeof other) => {
      popped.push(...(await replica.store.pop(queue, { count: 10 })).map((item) => item.id))
    }
    const deleting = async () => {
      for (let n = 0; n < 60; n += 1) await catalog.delete(queue, { force: false }).catch(() => undefined)
      pushing = false
    }
    await Promise.all([push(other), push(other), deleting()])
    popped.push(...(await store.pop(queue, { count: 10_000 })).map((item) => item.id))
    expect(popped.sort()).toEqual(pushed.sort())
  })
})

test('deleted by two at the same time, a queue is gone for both', async () => {
  for (let n = 0; n < 20; n += 1) {
    const queue = newQueue()
    await store.push(queue, [{}])
    const both = [catalog, other.catalog].map((one) => one.delete(queue, { force: true }))
    for (const outcome of await Promise.allSettled(both)) {
      if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: 'not_found' })
    }
  }
})

describe('the limit', () => {
  test('is 1,000 queues, exactly', async () => {
    await db.query(
      `WITH wanted AS (SELECT 'filler-' || n AS name FROM generate_series(1, 998 - (SELECT count(*) FROM storage.queue)) AS n),
        made AS (SELECT name, pgboss.create_queue(name, '{"policy": "standard"}') FROM wanted)
       INSERT INTO storage.queue (name) SELECT name FROM made`,
    )
    const outcomes = await Promise.allSettled(
      Array.from({ length: 10 }, (_, n) => [catalog, other.catalog][n % 2]?.ensure(`last-${n}`)),
    )

    expect(outcomes.filter((outcome) => outcome.status === 'fulfilled')).toHaveLength(2)
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: 'queue_limit' })
    }
    await expect(catalog.put('one-more', {})).rejects.toMatchObject({ code: 'queue_limit' })
    await expect(catalog.create('one-more', {})).rejects.toMatchObject({ code: 'queue_limit' })
    expect(await names()).toHaveLength(1_000)

    // Room for one: a queue that would need a dead letter queue besides is not made at all.
    await catalog.delete('filler-1', { force: true })
    await expect(catalog.create('one', { deadLetter: 'two' })).rejects.toMatchObject({ code: 'queue_limit' })
    expect(await names()).toHaveLength(999)
  })
})
