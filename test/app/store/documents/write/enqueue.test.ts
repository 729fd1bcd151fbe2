import pg from 'pg'
import { beforeEach, describe, expect, test, vi } from 'vitest'
import { atEndOfFile } from '../../../../support/end-of-file.ts'
import { eventually } from '../../../../support/eventually.ts'
import { at, createTestStore, uuid } from '../test-store.ts'

const { write, woken, database, test: db } = await createTestStore()

const QUEUE = 'frontier'
const PAGE = 'https://a.example/'
const NONE = { created: 0, duplicate: 0, stored: 0, invalid: 0, errors: [] }

beforeEach(async () => {
  await db.query('TRUNCATE public.documents, pgboss.job_common CASCADE')
  woken.length = 0
})

async function queued(queue = QUEUE): Promise<string[]> {
  const rows = await db.query<{ external_id: string }>(
    'SELECT external_id FROM public.queue_items WHERE queue_name = $1 ORDER BY external_id',
    [queue],
  )
  return rows.map((row) => row.external_id)
}

function link(url: string) {
  return { id: url, payload: { url } }
}

describe('items of a request', () => {
  test('are pushed with its documents, and the queue is woken', async () => {
    const items = [link('https://a.example/1'), link('https://a.example/2')]
    const outcome = await write([{ url: PAGE }], { enqueue: [{ queue: QUEUE, items }] })
    expect(outcome).toMatchObject({ stored: 1, enqueued: { ...NONE, created: 2 } })
    expect(await queued()).toEqual(['https://a.example/1', 'https://a.example/2'])
    expect(woken).toEqual([QUEUE])
  })

  test('are counted once each: invalid, else stored, else duplicate, else created', async () => {
    await write([{ url: 'https://a.example/old' }], {
      enqueue: [{ queue: QUEUE, items: [link('https://a.example/1')] }],
    })
    const items = [
      link('https://a.example/1'),
      link('https://a.example/old'),
      link(PAGE),
      link('https://a.example/2'),
      link('https://a.example/2'),
      { id: 'no url' },
      { id: '', payload: {} },
      { ...link('https://a.example/old'), priority: 'high' },
    ]
    const outcome = await write([{ url: PAGE }], { enqueue: [{ queue: QUEUE, unlessStored: true, items }] })
    expect(outcome.enqueued).toMatchObject({ invalid: 2, stored: 2, duplicate: 2, created: 2 })
    expect(await queued()).toEqual(['https://a.example/1', 'https://a.example/2', 'no url'])
  })

  test('of stored documents are pushed without unlessStored', async () => {
    const outcome = await write([{ url: PAGE }], { enqueue: [{ queue: QUEUE, items: [link(PAGE)] }] })
    expect(outcome.enqueued.created).toBe(1)
  })

  test('go to several queues, those of the same one together', async () => {
    const enqueue = [
      { queue: 'b', items: [link('https://a.example/1')] },
      { queue: 'a', items: [link('https://a.example/1')] },
      { queue: 'b', items: [link('https://a.example/1'), link('https://a.example/2')] },
    ]
    expect((await write([{ url: PAGE }], { enqueue })).enqueued).toMatchObject({ created: 3, duplicate: 1 })
    expect(await queued('a')).toHaveLength(1)
    expect(await queued('b')).toHaveLength(2)
  })

  test('commit beside bad documents and bad items', async () => {
    const enqueue = [{ queue: QUEUE, items: [7, link('https://a.example/1')] }]
    expect(await write([{ url: PAGE }, { url: 'bad' }], { enqueue })).toMatchObject({
      stored: 1,
      failed: 1,
      enqueued: { created: 1, invalid: 1 },
    })
  })

  test('that are invalid are named one by one, whatever the order in which the queues are served', async () => {
    const enqueue = [
      {
        queue: 'z',
        items: [link('https://a.example/1'), 'https://a.example/2', { ...link('https://a.example/3'), n: 1 }],
      },
      { queue: 'a', items: [{ id: 7 }] },
    ]
    const { enqueued } = await write([{ url: PAGE }], { enqueue })
    expect(enqueued).toMatchObject({ created: 1, invalid: 3 })
    expect(enqueued.errors).toEqual([
      { enqueue: 0, index: 1, id: null, code: 'invalid_type', error: 'An item must be an object.' },
      {
        enqueue: 0,
        index: 2,
        id: 'https://a.example/3',
        code: 'unknown_key',
        error: 'The key "n" is not known; allowed: id, priority, payload, delaySeconds, availableAt, group.',
      },
      { enqueue: 1, index: 0, id: null, code: 'invalid_id', error: 'id must be a string.' },
    ])
  })

  test('may have the longest url as their id', async () => {
    const url = `https://a.example/${'x'.repeat(2_030)}`
    expect((await write([{ url: PAGE }], { enqueue: [{ queue: QUEUE, items: [link(url)] }] })).enqueued).toEqual({
      ...NONE,
      created: 1,
    })
    expect(await queued()).toEqual([url])
  })

  test('are not pushed, and no document is stored, where a strict request has a bad item', async () => {
    const enqueue = [
      { queue: QUEUE, items: [link('https://a.example/1')] },
      { queue: QUEUE, items: [link('https://a.example/2'), { priority: 1.5 }] },
    ]
    await expect(write([{ url: PAGE }], { strict: true, enqueue })).rejects.toMatchObject({
      code: 'strict_failed',
      options: { errors: [{ pointer: '/enqueue/1/items/1', code: 'invalid_number' }] },
    })
    expect(await queued()).toEqual([])
    expect(await db.query('SELECT FROM public.documents')).toEqual([])
    expect(woken).toEqual([])
  })

  test('see documents that fail as not stored', async () => {
    await write([{ id: uuid(1), url: PAGE, metadata: { crawledAt: at(1) } }])
    const enqueue = [{ queue: QUEUE, unlessStored: true, items: [link('https://other.example/')] }]
    const outcome = await write([{ id: uuid(1), url: 'https://other.example/' }], { enqueue })
    expect(outcome).toMatchObject({ failed: 1, enqueued: { created: 1, stored: 0 } })
  })
})

test('a page that is stored, and done with, while the request is under way is not pushed again', async () => {
  const link1 = link('https://a.example/1')
  await write([{ url: PAGE }], { enqueue: [{ queue: QUEUE, items: [link1] }] })
  const worker = new pg.Client({ connectionString: db.directUrl })
  await worker.connect()
  atEndOfFile(() => worker.end())
  await worker.query('BEGIN')
  await worker.query(`INSERT INTO public.documents (id, url) VALUES ($1, $2)`, [uuid(1), link1.id])
  await worker.query('DELETE FROM pgboss.job_common WHERE singleton_key = $1', [link1.id])

  const enqueue = [{ queue: QUEUE, unlessStored: true, items: [link1, link('https://a.example/2')] }]
  const outcome = write([{ url: 'https://a.example/other' }], { enqueue })
  await eventually(async () => {
    expect(await db.query(`SELECT FROM pg_locks WHERE locktype = 'transactionid' AND NOT granted`)).toHaveLength(1)
  })
  await worker.query('COMMIT')

  expect((await outcome).enqueued).toEqual({ ...NONE, created: 1, stored: 1 })
  expect(await queued()).toEqual(['https://a.example/2'])
})

test('documents are not stored where their items cannot be pushed', async () => {
  await database.query({
    text: 'ALTER TABLE pgboss.job_common ADD CONSTRAINT no_poison CHECK (priority <> 666) NOT VALID',
  })
  try {
    const enqueue = [{ queue: QUEUE, items: [{ priority: 666 }] }]
    await expect(write([{ url: PAGE }], { enqueue })).rejects.toMatchObject({ code: 'unprocessable' })
    expect(await db.query('SELECT FROM public.documents')).toEqual([])
  } finally {
    await database.query({ text: 'ALTER TABLE pgboss.job_common DROP CONSTRAINT no_poison' })
  }
})

/** As another process deletes it: this one's cache does not learn of it. */
async function deleteElsewhere(queue: string): Promise<void> {
  await db.query('DELETE FROM pgboss.job_common WHERE name = $1', [queue])
  await db.query('DELETE FROM storage.queue WHERE name = $1', [queue])
  await db.query('SELECT pgboss.delete_queue(name) FROM pgboss.queue WHERE name = $1', [queue])
}

describe('a queue that was deleted behind the cache', () => {
  const enqueue = [{ queue: 'gone', items: [link('https://a.example/1')] }]

  test('is found again', async () => {
    await write([{ url: PAGE }], { enqueue: [{ queue: 'gone', items: [{}] }] })
    await deleteElsewhere('gone')
    expect((await write([{ url: PAGE }], { enqueue })).enqueued.created).toBe(1)
  })

  test('is found again as often as it is deleted meanwhile', async () => {
    const transaction = database.transaction.bind(database)
    let deletions = 0
    const spy = vi.spyOn(database, 'transaction').mockImplementation(async (work) => {
      if (deletions < 5) {
        await deleteElsewhere('gone')
        deletions += 1
      }
      return transaction(work)
    })
    try {
      expect(await write([{ url: PAGE }], { enqueue })).toMatchObject({ stored: 1, enqueued: { created: 1 } })
    } finally {
      spy.mockRestore()
    }
    expect(deletions).toBe(5)
    expect(await queued('gone')).toEqual(['https://a.example/1'])
  })
})
