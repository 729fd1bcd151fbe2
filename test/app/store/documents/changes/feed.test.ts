import { randomUUID } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { FeedFixture, short } from './fixture.ts'

const fixture = await FeedFixture.create()
const { store } = fixture

const newUrl = () => `https://feed.example/${randomUUID()}`
const doc = (url: string, status: string, metadata: object = {}) => ({ url, status, metadata })
const now = async () => (await fixture.drain('now')).nextCursor
const since = async (cursor: string) => (await fixture.drain(cursor)).changes.map(short)

async function idOf(url: string): Promise<string> {
  const { documents } = JSON.parse(String(await store.lookUp({ urls: [url] }))) as { documents: { id: string }[] }
  return documents[0]?.id ?? ''
}

describe('the feed', () => {
  test('tells of a document once, at its last change and in its newest state', async () => {
    const [a, b] = [newUrl(), newUrl()]
    const start = await now()
    await fixture.write(doc(a, 'one'))
    await fixture.write(doc(b, 'one'))
    await fixture.write(doc(a, 'two'))
    expect(await since(start)).toEqual([`+${b} one`, `+${a} two`])
  })

  test('tells of a merge patch, and of deletions of each kind, by their time', async () => {
    const [a, b, c] = [newUrl(), newUrl(), newUrl()]
    await fixture.write(doc(a, 'one'), doc(b, 'one'), doc(c, 'one'))
    const start = await now()
    await store.patch(await idOf(a), { status: 'patched' }, undefined)
    await store.delete(await idOf(b), undefined)
    const [id] = [await idOf(c)]
    await store.deleteMany([id])
    const { changes } = await fixture.drain(start)
    expect(changes.map(short)).toEqual([`+${a} patched`, `-${b}`, `-${c}`])
    expect(changes[2]).toEqual({ type: 'deleted', id, url: c, at: expect.stringMatching(/^\d{4}-.*\.\d{6}Z$/) })
  })

  test('says nothing of a newer crawledAt, nor of equal content', async () => {
    const url = newUrl()
    await fixture.write(doc(url, 'one', { crawledAt: '2026-01-01T00:00:00Z' }))
    const start = await now()
    await fixture.write(doc(url, 'one', { crawledAt: '2026-02-01T00:00:00Z' }))
    await fixture.write(doc(url, 'one', { crawledAt: '2026-02-01T00:00:00Z' }))
    await store.patch(await idOf(url), { metadata: { crawledAt: '2026-03-01T00:00:00Z' } }, undefined)
    expect(await since(start)).toEqual([])
  })

  test('tells of what comes back after it was deleted, and not of the deletion any more', async () => {
    const url = newUrl()
    await fixture.write({ ...doc(url, 'one'), id: '00000000-0000-4000-8000-00000000000a' })
    const start = await now()
    await store.delete(await idOf(url), undefined)
    await fixture.write({ ...doc(url, 'two'), id: '00000000-0000-4000-8000-00000000000a' })
    expect(await since(start)).toEqual([`+${url} two`])
  })

  test('hears of writers that do not know of it', async () => {
    const client = await fixture.connect()
    const [a, b] = [newUrl(), newUrl()]
    const start = await now()
    await client.query(`INSERT INTO public.documents (url, status) VALUES ($1, 'one'), ($2, 'one')`, [a, b])
    await client.query(`UPDATE public.documents SET status = 'two', updated_at = now() WHERE url = $1`, [a])
    await client.query(`UPDATE public.documents SET content_hash = '\\x00' WHERE url = $1`, [b])
    const between = await now()
    await client.query('UPDATE public.documents SET crawled_at = now() WHERE url = $1', [b])
    expect(await since(between)).toEqual([])
    expect(await since(start)).toEqual([`+${a} two`, `+${b} one`])
    for (const n of [1, 2]) {
      const again = await now()
      const patch = `UPDATE public.documents SET metadata = $1, content_hash = NULL WHERE url = $2`
      await client.query('BEGIN')
      await client.query(patch, [{ n }, b])
      await client.query(patch, [{ n: n + 10 }, b])
      await client.query('COMMIT')
      expect(await since(again)).toEqual([`+${b} one`])
    }
    await client.query('DELETE FROM public.documents WHERE url = $1', [b])
    expect(await since(start)).toEqual([`+${a} two`, `-${b}`])
  })

  test('from the beginning has all documents and no old deletion', async () => {
    const gone = newUrl()
    await fixture.write(doc(gone, 'one'))
    await store.delete(await idOf(gone), undefined)
    const { changes } = await fixture.drain(undefined, 3)
    const [{ count }] = (await (await fixture.connect()).query('SELECT count(*)::integer FROM public.documents')).rows
    expect(changes).toHaveLength(count)
    expect(changes.every(({ type }) => type === 'stored')).toBe(true)
  })

  test('from the beginning tells of what is deleted while it is read', async () => {
    const urls = [newUrl(), newUrl(), newUrl()]
    await fixture.write(...urls.map((url) => doc(url, 'one')))
    const first = await fixture.read({ limit: 1 })
    await store.delete(await idOf(urls[2] as string), undefined)
    const rest = await fixture.drain(first.nextCursor)
    expect(rest.changes.at(-1)).toMatchObject({ type: 'deleted', url: urls[2] })
  })
})

describe('what is not committed', () => {
  test('is not told, and holds later changes back; both come once it ends', async () => {
    const [early, late] = [newUrl(), newUrl()]
    const slow = await fixture.connect()
    const start = await now()
    await slow.query('BEGIN')
    await slow.query(`INSERT INTO public.documents (url, status) VALUES ($1, 'slow')`, [early])
    await fixture.write(doc(late, 'fast'))

    const held = await fixture.read({ after: start })
    expect(held).toMatchObject({ changes: [], upToDate: false })
    await fixture.upkeep.note()
    expect(fixture.upkeep.lag.seconds).toBeGreaterThan(0)
    const [{ pid }] = (await slow.query('SELECT pg_backend_pid()::text AS pid')).rows
    expect(fixture.upkeep.lag.holder).toMatchObject({ pid, state: 'idle in transaction' })

    await slow.query('COMMIT')
    expect(await since(held.nextCursor)).toEqual([`+${early} slow`, `+${late} fast`])
    await fixture.upkeep.note()
    expect(fixture.upkeep.lag).toEqual({ seconds: 0, holder: undefined })
  })

  test('does not hold back where nothing was committed after it, nor by reading alone', async () => {
    const [reader, writer] = [await fixture.connect(), await fixture.connect()]
    await reader.query('BEGIN ISOLATION LEVEL REPEATABLE READ')
    await reader.query('SELECT count(*) FROM public.documents')
    await fixture.write(doc(newUrl(), 'one'))
    await writer.query('BEGIN')
    await writer.query(`INSERT INTO public.documents (url) VALUES ('https://never.example/')`)
    expect(await fixture.read({ after: 'now' })).toMatchObject({ changes: [], upToDate: true })
    await writer.query('ROLLBACK')
    await reader.query('ROLLBACK')
  })
})

describe('filters', () => {
  test('choose documents; deletions come in any case', async () => {
    const start = await now()
    const [a, b, c] = [newUrl(), newUrl(), newUrl()]
    await fixture.write(
      doc(a, 'wanted', { contentType: 'Text/HTML; charset=utf-8' }),
      doc(b, 'other'),
      doc(c, 'wanted', { contentType: 'text/plain' }),
      doc('https://elsewhere.example/', 'wanted'),
    )
    await store.delete(await idOf(b), undefined)
    const told = async (filters: object) => {
      const first = await fixture.read({ after: 'now', ...filters })
      expect(first.changes).toEqual([])
      const from = await fixture.read({ limit: 1_000, ...filters })
      return from.changes.filter(({ type }) => type === 'stored').map(short)
    }
    expect(await since(start)).toHaveLength(4)
    expect(await told({ status: 'wanted' })).toHaveLength(3)
    expect(await told({ status: 'wanted', host: 'Elsewhere.example.' })).toEqual(['+https://elsewhere.example/ wanted'])
    expect(await told({ status: 'wanted', contentType: 'text/html' })).toEqual([`+${a} wanted`])
  })

  test('that match nothing end, page by page, and their cursor goes on', async () => {
    const client = await fixture.connect()
    await client.query(
      `INSERT INTO public.documents (url, status) SELECT 'https://many.example/' || n, 'many' FROM generate_series(1, 45000) AS n`,
    )
    let pages = 0
    let cursor: string | undefined
    for (let upToDate = false; !upToDate; pages += 1) {
      const page = await fixture.read({ after: cursor, status: 'none' })
      expect(page.changes).toEqual([])
      expect(page.nextCursor).not.toBe(cursor)
      ;({ nextCursor: cursor, upToDate } = page)
    }
    expect(pages).toBe(3)
    const url = newUrl()
    await fixture.write(doc(url, 'none'))
    expect((await fixture.read({ after: cursor, status: 'none' })).changes.map(short)).toEqual([`+${url} none`])
    await client.query('DELETE FROM public.documents WHERE status = $1', ['many'])
    await client.query('DELETE FROM storage.document_deletion')
  })
})

describe('waiting', () => {
  test('ends with the first change, long before its time', async () => {
    const start = await now()
    const began = performance.now()
    const waiting = fixture.read({ after: start, waitSeconds: 20 })
    const url = newUrl()
    await fixture.write(doc(url, 'awaited'))
    expect((await waiting).changes.map(short)).toEqual([`+${url} awaited`])
    expect(performance.now() - began).toBeLessThan(10_000)
  })

  test('ends at its time with a cursor, and at once when it is aborted', async () => {
    const start = await now()
    const timed = await fixture.read({ after: start, waitSeconds: 0.3 })
    expect(timed).toMatchObject({ changes: [], upToDate: true })
    const stopping = new AbortController()
    const waiting = fixture.read({ after: start, waitSeconds: 20, signal: stopping.signal })
    stopping.abort()
    expect(await waiting).toMatchObject({ changes: [], upToDate: true })
  })

  test('with a filter goes on while other documents change', async () => {
    const first = await fixture.read({ after: 'now', status: 'rare' })
    const waiting = fixture.read({ after: first.nextCursor, status: 'rare', waitSeconds: 20 })
    await fixture.write(doc(newUrl(), 'frequent'))
    await fixture.write(doc(newUrl(), 'frequent'))
    const url = newUrl()
    await fixture.write(doc(url, 'rare'))
    expect((await waiting).changes.map(short)).toEqual([`+${url} rare`])
  })
})

describe('a cursor', () => {
  test('is refused with other filters, or changed', async () => {
    const { nextCursor } = await fixture.read({ limit: 1 })
    await expect(fixture.read({ after: nextCursor, status: 'x' })).rejects.toMatchObject({ code: 'invalid_cursor' })
    await expect(fixture.read({ after: `${nextCursor}A` })).rejects.toMatchObject({ code: 'invalid_cursor' })
    await expect(fixture.read({ after: '' })).rejects.toMatchObject({ code: 'invalid_cursor' })
  })

  test('has expired once deletions after it are removed, and not before', async () => {
    const client = await fixture.connect()
    const url = newUrl()
    await fixture.write(doc(url, 'one'))
    const old = await now()
    await store.delete(await idOf(url), undefined)
    const recent = await now()
    await client.query(`UPDATE storage.document_deletion SET deleted_at = now() - interval '29 days'`)
    await fixture.upkeep.sweep()
    expect(await since(old)).toEqual([`-${url}`])

    await client.query(`UPDATE storage.document_deletion SET deleted_at = now() - interval '31 days'`)
    // Declared by one sweep, removed by the next.
    expect(await fixture.upkeep.sweep()).toBe(0)
    await expect(since(old)).rejects.toMatchObject({ code: 'cursor_expired' })
    expect(await fixture.upkeep.sweep()).toBeGreaterThan(0)
    await expect(since(old)).rejects.toMatchObject({ code: 'cursor_expired' })
    expect(await since(recent)).toEqual([])
    expect((await fixture.read({ limit: 1 })).changes).toHaveLength(1)
  })

  test('has expired in another life of the database: a copy, a restore, a table that was emptied', async () => {
    const client = await fixture.connect()
    const { nextCursor } = await fixture.read({ limit: 1 })
    await client.query('UPDATE storage.change_feed SET life = gen_random_uuid()')
    await expect(since(nextCursor)).rejects.toMatchObject({ code: 'cursor_expired' })
    const again = await now()
    await client.query('TRUNCATE public.documents')
    await expect(since(again)).rejects.toMatchObject({ code: 'cursor_expired' })
  })
})
