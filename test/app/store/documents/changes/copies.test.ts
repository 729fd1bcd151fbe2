import pg from 'pg'
import { expect, test } from 'vitest'
import { startOwnServer } from '../../../../support/database.ts'
import { backUp } from '../../../../support/standby.ts'
import { FeedFixture } from './fixture.ts'

const doc = (name: string) => ({ url: `https://copies.example/${name}`, status: 'stored' })
const EXPIRED = { code: 'cursor_expired' }

test('a cursor is refused by a copy of its database on the same server', async () => {
  const own = await startOwnServer()
  const original = new FeedFixture(own)
  await original.write(doc('a'))
  const { nextCursor } = await original.drain(undefined)
  await original.database.close()

  const client = new pg.Client({ connectionString: own.server.url('postgres') })
  await client.connect()
  await client.query('CREATE DATABASE copied TEMPLATE sonoma')
  await client.end()
  const copy = new FeedFixture(own, own.server.url('copied'))
  await expect(copy.read({ after: nextCursor })).rejects.toMatchObject(EXPIRED)
  expect((await copy.drain(undefined)).changes).toHaveLength(1)
})

test('a cursor is refused by a server that was restored to an earlier state, also once that has gone on', async () => {
  const own = await startOwnServer()
  const before = new FeedFixture(own)
  await before.write(doc('kept'))
  const { nextCursor: early } = await before.drain(undefined)
  const restore = await backUp(own)
  for (let n = 0; n < 30; n += 1) await before.write(doc(`lost-${n}`))
  const { nextCursor: late } = await before.drain(undefined)

  const restored = new FeedFixture(await restore())
  await expect(restored.read({ after: late })).rejects.toMatchObject(EXPIRED)
  // Whoever restores says so: then no cursor of the life before is taken, wherever it is.
  await restored.database.query({ text: 'UPDATE storage.change_feed SET life = gen_random_uuid()' })
  for (let n = 0; n < 40; n += 1) await restored.write(doc(`new-${n}`))
  await expect(restored.read({ after: late })).rejects.toMatchObject(EXPIRED)
  await expect(restored.read({ after: early })).rejects.toMatchObject(EXPIRED)
  expect((await restored.drain(undefined)).changes).toHaveLength(41)
}, 120_000)
