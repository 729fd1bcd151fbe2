import { describe, expect, test } from 'vitest'
import type { QueueCatalog } from '../../../../../app/store/queue/definition/catalog.ts'
import { createFixture, createReplica, itemsOf, moveToPartition, newQueue } from './control-fixture.ts'

// What a replica remembers of a queue for five seconds, while another one or a migration changes it.
const { test: db, catalog, store, database } = await createFixture()
const remembering = createReplica(db)

/** Lets the other replica look at queues, and find them as they were then; what was changed since it does not know. */
async function remember(...queues: string[]): Promise<void> {
  for (const queue of queues) await remembering.catalog.get(queue)
}

async function failed(queue: string, deadLetter: string | null): Promise<void> {
  await catalog.put(queue, { retryLimit: 0, deadLetter })
  await store.push(queue, itemsOf('a.example', 2))
  const items = await store.pop(queue, { count: 2, leaseSeconds: 60 })
  await store.nack(
    queue,
    items.map(({ receipt }) => ({ receipt })),
  )
}

async function makeAnew(of: QueueCatalog, queue: string): Promise<void> {
  await of.delete(queue, { force: true })
  await of.ensure(queue)
}

type Change = (queue: string) => Promise<unknown>
const CHANGES: [name: string, prepare: Change, after: Change][] = [
  ['moved to a table of its own', async () => {}, (queue) => moveToPartition(database, queue)],
  [
    'made anew, after it had a table of its own',
    (queue) => moveToPartition(database, queue),
    (queue) => makeAnew(catalog, queue),
  ],
]

describe.each(CHANGES)('a queue that another replica has %s', (_, prepare, change) => {
  /** A queue that one replica remembers as it was. */
  async function changedQueue(): Promise<string> {
    const queue = newQueue()
    await catalog.ensure(queue)
    await prepare(queue)
    await remember(queue)
    await change(queue)
    catalog.forget(queue)
    return queue
  }

  test.each(['waiting', 'failed'] as const)('is purged of its %s items', async (state) => {
    const queue = await changedQueue()
    if (state === 'failed') await failed(queue, null)
    else await store.push(queue, itemsOf('a.example', 2))

    expect(await remembering.items.purge(queue, { state })).toEqual({ purged: 2, more: false })
  })

  test('gets its failed items back', async () => {
    const queue = await changedQueue()
    await failed(queue, null)

    expect(await remembering.items.redrive(queue)).toEqual({ redriven: 2, more: false })
  })

  test.each(['its dead letter queue', 'itself'])('gets its dead letters back where that is %s', async (which) => {
    const [queue, letters] = [newQueue(), newQueue()]
    await catalog.put(queue, { deadLetter: letters })
    const changed = which === 'itself' ? queue : letters
    await prepare(changed)
    await remember(queue, letters)
    await catalog.put(queue, { deadLetter: null })
    await change(changed)
    for (const name of [queue, letters]) catalog.forget(name)
    await failed(queue, letters)

    expect(await remembering.items.redrive(queue)).toEqual({ redriven: 2, more: false })
    expect(await store.pop(queue, { count: 5 })).toHaveLength(2)
  })

  test('shows its items, browsed and peeked at', async () => {
    const queue = await changedQueue()
    await store.push(queue, itemsOf('a.example', 2))

    expect(await remembering.store.peek(queue, 5)).toHaveLength(2)
    await remember(queue)
    expect((await remembering.items.browse(queue, { state: 'waiting', limit: 5 })).items).toHaveLength(2)
  })
})
