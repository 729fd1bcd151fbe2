import { beforeEach, expect, test } from 'vitest'
import { at, createTestStore, summary, uuid } from '../test-store.ts'

const { write, test: database } = await createTestStore()
const strict = { strict: true }

beforeEach(() => database.query('TRUNCATE public.documents CASCADE'))

async function count(): Promise<number> {
  const [row] = await database.query<{ count: number }>('SELECT count(*)::integer AS count FROM public.documents')
  return row?.count ?? -1
}

test('stores all where all are right', async () => {
  const outcome = await write([{ url: 'https://a.example/' }, { url: 'https://a.example/' }], strict)
  expect(outcome).toMatchObject({ stored: 2, failed: 0, summary: summary({ inserted: 1, duplicate: 1 }) })
})

test('stores nothing, and names every bad document with its pointer', async () => {
  await write([{ id: uuid(1), url: 'https://stored.example/', metadata: { crawledAt: at(1) } }])
  const documents = [
    { url: 'https://new.example/' },
    { url: 'not absolute' },
    { id: uuid(2), url: 'https://stored.example/' },
    { id: uuid(1), url: 'https://other.example/' },
    { url: 'https://stored.example/', metadata: { crawledAt: at(0), a: 1 } },
  ]
  await expect(write(documents, strict)).rejects.toMatchObject({
    code: 'strict_failed',
    status: 422,
    options: {
      errors: [
        { pointer: '/documents/1', code: 'invalid_url', detail: expect.any(String) },
        { pointer: '/documents/2', code: 'url_conflict', detail: expect.any(String) },
        { pointer: '/documents/3', code: 'id_conflict', detail: expect.any(String) },
      ],
    },
  })
  expect(await count()).toBe(1)
})

test('stores nothing of many chunks where the last document is wrong', async () => {
  const documents = Array.from({ length: 2_500 }, (_, n) => ({ url: `https://x.example/${n}` }))
  await expect(write([...documents, { url: '' }], strict)).rejects.toMatchObject({
    options: { errors: [{ pointer: '/documents/2500', code: 'invalid_text' }] },
  })
  expect(await count()).toBe(0)
})
