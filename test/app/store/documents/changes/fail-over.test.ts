import { expect, test } from 'vitest'
import { startOwnServer } from '../../../../support/database.ts'
import { cutOff, failOver, followed, startStandby } from '../../../../support/standby.ts'
import { Copy, FeedFixture, short } from './fixture.ts'

const doc = (name: string, status: string) => ({ url: `https://fail-over.example/${name}`, status })

test('after a fail-over that lost transactions nothing that the new primary has or gets is missed', async () => {
  const primary = await startOwnServer()
  const standby = await startStandby(primary)
  const before = new FeedFixture(primary)
  const copy = new Copy()
  let cursor: string | undefined
  const follow = async (fixture: FeedFixture) => {
    const { changes, nextCursor } = await fixture.drain(cursor, 7)
    copy.apply(changes)
    cursor = nextCursor
    return changes.map(short)
  }

  for (let n = 0; n < 20; n += 1) await before.write(doc(`kept-${n}`, 'kept'))
  await before.upkeep.note()
  for (let n = 20; n < 30; n += 1) await before.write(doc(`kept-${n}`, 'kept'))
  await follow(before)
  await followed(primary, standby)
  await cutOff(standby)
  for (let n = 0; n < 50; n += 1) await before.write(doc(`lost-${n}`, 'lost'))
  expect(await follow(before)).toHaveLength(50)
  const lost = await newest(before)

  await failOver(primary, standby)
  const after = new FeedFixture(standby)
  for (let n = 0; n < 20; n += 1) await after.write(doc(`new-${n}`, 'new'))
  // Their numbers were those of lost transactions: who goes on by number alone misses them.
  expect(BigInt(await newest(after))).toBeLessThan(BigInt(lost))
  const told = await follow(after)
  expect(told.filter((text) => text.endsWith(' new'))).toHaveLength(20)
  expect(told.filter((text) => text.endsWith(' kept')).length).toBeLessThanOrEqual(10)

  await after.upkeep.note()
  await after.write(doc('later', 'later'))
  expect(await follow(after)).toEqual(['+https://fail-over.example/later later'])
  expect(copy.rows().filter((row) => !row.endsWith(' lost'))).toEqual(await stored(after))
}, 180_000)

async function newest({ database }: FeedFixture): Promise<string> {
  const text = 'SELECT changed_xid::text AS xid FROM public.documents ORDER BY changed_xid DESC LIMIT 1'
  return (await database.query<{ xid: string }>({ text })).rows[0]?.xid ?? ''
}

async function stored({ database }: FeedFixture): Promise<string[]> {
  const text = `SELECT url || ' ' || id || ' ' || status AS row FROM public.documents`
  return (await database.query<{ row: string }>({ text })).rows.map(({ row }) => row).sort()
}
