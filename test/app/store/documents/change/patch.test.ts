import { beforeEach, describe, expect, test } from 'vitest'
import type { RawObject } from '../../../../../app/store/check.ts'
import { at, createTestStore, type Read, uuid } from '../test-store.ts'

const { store, write, test: database } = await createTestStore()

const URL_A = 'https://a.example/'
const METADATA = {
  crawledAt: at(1),
  lastModified: at(0),
  contentType: 'text/html',
  size: 5,
  title: 'A',
  deep: { a: 1, b: 2 },
}

beforeEach(async () => {
  await database.query('TRUNCATE public.documents CASCADE')
  await write([{ id: uuid(1), url: URL_A, status: 'new', metadata: METADATA }])
})

async function read(): Promise<Read> {
  return JSON.parse((await store.get(uuid(1)))?.json ?? '') as Read
}

async function patch(body: RawObject, ifMatch?: string): Promise<Read> {
  const { json, tag } = await store.patch(uuid(1), body, ifMatch)
  expect(await store.get(uuid(1))).toEqual({ json, tag })
  return JSON.parse(json) as Read
}

describe('a merge patch', () => {
  test('sets, merges and removes', async () => {
    const before = await read()
    const after = await patch({
      status: 'seen',
      metadata: { title: null, deep: { b: null, c: [null] }, size: 6, x: { y: null } },
    })
    expect(after).toEqual({
      ...before,
      status: 'seen',
      metadata: { ...before.metadata, title: undefined, deep: { a: 1, c: [null] }, size: 6, x: {} },
      updatedAt: expect.any(String),
    })
    expect(after.updatedAt > before.updatedAt).toBe(true)
  })

  test('reaches the four named fields', async () => {
    const named = {
      crawledAt: '2026-05-01T00:00:00.000001Z',
      lastModified: null,
      contentType: 'text/plain',
      size: null,
    }
    expect((await patch({ metadata: named })).metadata).toEqual({
      crawledAt: '2026-05-01T00:00:00.000001Z',
      contentType: 'text/plain',
      title: 'A',
      deep: { a: 1, b: 2 },
    })
  })

  test('removes status and metadata with null; a crawledAt that is removed is the time of the patch', async () => {
    const after = await patch({ status: null, metadata: null })
    expect(after).toMatchObject({ status: null, metadata: { crawledAt: expect.any(String) } })
    expect(Object.keys(after.metadata)).toEqual(['crawledAt'])
    expect(after.metadata.crawledAt).toBe(after.updatedAt)
  })

  test.each([
    {},
    { status: 'new' },
    { metadata: {} },
    { metadata: { title: 'A', gone: null } },
    { id: uuid(1), url: URL_A, host: 'x' },
  ])('that changes nothing writes nothing: %j', async (body) => {
    const state = 'SELECT xmin::text, ctid::text FROM public.documents'
    const before = await read()
    const row = await database.query(state)
    expect(await patch(body)).toEqual(before)
    expect(await database.query(state)).toEqual(row)
  })

  test('of crawledAt alone moves neither updatedAt nor the tag', async () => {
    const before = await read()
    const { tag } = (await store.get(uuid(1))) ?? {}
    const after = await patch({ metadata: { crawledAt: at(9) } })
    expect(after.metadata.crawledAt).not.toBe(before.metadata.crawledAt)
    expect(after.updatedAt).toBe(before.updatedAt)
    expect((await store.get(uuid(1)))?.tag).toBe(tag)
  })

  test('makes the hash that a write of the same content makes', async () => {
    await patch({ metadata: { title: 'B', size: 9 } })
    const metadata = { ...METADATA, title: 'B', size: 9 }
    expect((await write([{ url: URL_A, metadata }])).summary.unchanged).toBe(1)
  })

  test('makes the hash of a document that SQL has written, without moving updatedAt', async () => {
    await database.query('UPDATE public.documents SET content_hash = NULL')
    const before = await read()
    expect(await patch({ metadata: { title: 'A' } })).toEqual(before)
    expect((await write([{ url: URL_A, metadata: METADATA }])).summary.unchanged).toBe(1)
  })
})

describe('If-Match', () => {
  test('lets a patch through that names the state of the document', async () => {
    const tag = (await store.get(uuid(1)))?.tag as string
    await patch({ status: 'b' }, tag)
    await patch({ status: 'c' }, '*')
    await expect(patch({ status: 'd' }, tag)).rejects.toMatchObject({ code: 'precondition_failed', status: 412 })
    expect((await read()).status).toBe('c')
  })

  test('compares strongly', async () => {
    const tag = (await store.get(uuid(1)))?.tag
    await expect(patch({}, `W/${tag}`)).rejects.toMatchObject({ code: 'precondition_failed' })
    await patch({}, `"x", ${tag}`)
  })
})

describe('what a patch must not do', () => {
  test.each([
    ['change the id', { id: uuid(2) }, 'invalid_id', '/id'],
    ['remove the id', { id: null }, 'invalid_id', '/id'],
    ['change the url', { url: 'https://b.example/' }, 'invalid_url', '/url'],
    ['name another key', { colour: 1 }, 'unknown_key', ''],
    ['set a status that is no text', { status: 1 }, 'invalid_type', '/status'],
    ['replace the metadata by something else', { metadata: [] }, 'invalid_type', '/metadata'],
    ['set a size that is none', { metadata: { size: -1 } }, 'invalid_number', '/metadata'],
    [
      'set a date that does not exist',
      { metadata: { lastModified: '2026-02-30T00:00:00Z' } },
      'invalid_time',
      '/metadata',
    ],
    ['set a NUL', { metadata: { x: '\0' } }, 'invalid_text', '/metadata'],
    ['set a number out of range', { metadata: { x: [Number.POSITIVE_INFINITY] } }, 'invalid_number', '/metadata'],
    ['make the metadata too large', { metadata: { x: 'x'.repeat(262_145) } }, 'metadata_too_large', '/metadata'],
  ])('%s', async (_name, body, code, pointer) => {
    const before = await read()
    await expect(patch(body)).rejects.toMatchObject({
      code: 'unprocessable',
      status: 422,
      options: { errors: [{ pointer, code }] },
    })
    expect(await read()).toEqual(before)
  })

  test('nest too deeply, however deeply it is nested', async () => {
    let deep: RawObject = {}
    for (let level = 0; level < 100_000; level += 1) deep = { deep }
    await expect(patch({ metadata: deep })).rejects.toMatchObject({ options: { errors: [{ code: 'too_deep' }] } })
  })

  test('touch a document that is not there', async () => {
    await expect(store.patch(uuid(2), {}, undefined)).rejects.toMatchObject({ code: 'not_found' })
    await expect(store.patch('x', {}, undefined)).rejects.toMatchObject({ code: 'not_found' })
  })
})

test('patches of one document at the same time are all applied', async () => {
  await Promise.all(
    Array.from({ length: 20 }, (_, n) => store.patch(uuid(1), { metadata: { [`k${n}`]: n } }, undefined)),
  )
  expect(Object.keys((await read()).metadata).filter((key) => key.startsWith('k'))).toHaveLength(20)
})
