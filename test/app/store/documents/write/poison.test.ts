import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createTestStore, summary } from '../test-store.ts'

const { write, test: database } = await createTestStore()

// Stands for whatever the checks do not foresee.
beforeEach(async () => {
  await database.query('TRUNCATE public.documents')
  await database.query(`ALTER TABLE public.documents ADD CONSTRAINT no_poison CHECK (status <> 'poison')`)
})
afterEach(() => database.query('ALTER TABLE public.documents DROP CONSTRAINT no_poison'))

const BAD = [0, 17, 18, 999, 1_500]
const documents = Array.from({ length: 2_100 }, (_, n) => ({
  url: `https://x.example/${String(n).padStart(5, '0')}`,
  status: BAD.includes(n) ? 'poison' : 'fine',
}))
const errors = BAD.map((index) => ({ index, code: 'invalid_item', retryable: false }))

async function count(): Promise<number> {
  const [row] = await database.query<{ count: number }>('SELECT count(*)::integer AS count FROM public.documents')
  return row?.count ?? -1
}

describe('a document that the database turns down', () => {
  test('is found by bisection; all others are stored', async () => {
    const outcome = await write(documents)
    expect(outcome).toMatchObject({ stored: 2_095, failed: 5, summary: summary({ inserted: 2_095 }) })
    expect(outcome.errors).toMatchObject(errors)
    expect(await count()).toBe(2_095)
  })

  test('is found in a request that enqueues, too', async () => {
    const outcome = await write(documents, { enqueue: [{ queue: 'q', items: [{}] }] })
    expect(outcome).toMatchObject({ stored: 2_095, enqueued: { created: 1 } })
    expect(outcome.errors).toMatchObject(errors)
    expect(await count()).toBe(2_095)
  })

  test('is named by a strict request, which stores nothing', async () => {
    await expect(write(documents, { strict: true })).rejects.toMatchObject({
      options: { errors: BAD.map((index) => ({ pointer: `/documents/${index}`, code: 'invalid_item' })) },
    })
    expect(await count()).toBe(0)
  })

  test('leaves its url to an older one in the same request', async () => {
    const url = 'https://x.example/'
    const outcome = await write([{ url }, { url, status: 'poison' }])
    expect(outcome).toMatchObject({ stored: 1, failed: 1, summary: summary({ inserted: 1 }) })
    expect(outcome.errors).toMatchObject([{ index: 1 }])
  })
})
