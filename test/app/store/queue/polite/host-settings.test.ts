import { expect, test } from 'vitest'
import { createFixture, itemsOf, newQueue } from '../admin/control-fixture.ts'

const { catalog, hosts, polite, store, test: db } = await createFixture()

const NONE = { delaySeconds: null, blockedUntil: null, maxActive: null, busyUntil: null }

test('a host has no settings of its own until they are put, and again after a reset', async () => {
  const queue = newQueue()
  await catalog.ensure(queue)
  expect(await hosts.get(queue, 'A.example')).toEqual({ host: 'a.example', ...NONE })

  const put = await hosts.put(queue, 'A.Example', { delaySeconds: 0.5, maxActive: 3 })
  expect(put).toEqual({ host: 'a.example', ...NONE, delaySeconds: 0.5, maxActive: 3 })
  expect(await hosts.get(queue, 'a.EXAMPLE')).toEqual(put)

  await hosts.reset(queue, 'a.example')
  await hosts.reset(queue, 'never-seen.example')
  expect(await hosts.get(queue, 'a.example')).toEqual({ host: 'a.example', ...NONE })
})

test('a name with letters beyond ASCII is that of its punycode, for settings, urls and groups', async () => {
  const queue = newQueue()
  await catalog.ensure(queue)
  await hosts.put(queue, 'Bücher.example', { blockedUntil: '2999-01-01T00:00:00Z' })
  expect(await hosts.get(queue, 'xn--bcher-kva.example')).toEqual(await hosts.get(queue, 'bücher.example.'))
  const payload = { url: 'https://bücher.example/' }
  await store.push(queue, [
    { id: 'url', payload },
    { id: 'group', group: 'bücher.example' },
    { id: 'free', group: 'é' },
  ])
  const found = await polite.pop(queue, { count: 10, perHost: 10, leaseSeconds: 60 })
  expect(found.map(({ id }) => id)).toEqual(['free'])
})

test('a put replaces all settings, and keeps a time to the microsecond', async () => {
  const queue = newQueue()
  await catalog.ensure(queue)
  await hosts.put(queue, 'a.example', { delaySeconds: 5 })
  const blockedUntil = '2999-01-02T03:04:05.123456Z'
  expect(await hosts.put(queue, 'a.example', { blockedUntil })).toEqual({
    host: 'a.example',
    ...NONE,
    blockedUntil,
    busyUntil: blockedUntil,
  })
})

test('it says until when a delay lasts that has begun', async () => {
  const queue = newQueue()
  await catalog.put(queue, { politeness: { delaySeconds: 1_000, maxActive: null } })
  await store.push(queue, itemsOf('a.example', 2))
  expect(await hosts.get(queue, 'a.example')).toMatchObject({ busyUntil: null })
  await polite.pop(queue, { count: 1, perHost: 1, leaseSeconds: 60 })
  const [row] = await db.query<{ left: number }>(`SELECT extract(epoch FROM $1::timestamptz - now())::float8 AS left`, [
    (await hosts.get(queue, 'a.example')).busyUntil,
  ])
  expect(row?.left).toBeGreaterThan(900)
  expect(row?.left).toBeLessThan(1_001)
})

test.each(['2999-13-01T00:00:00Z', '2999-01-01', 'tomorrow'])('the time %j is refused', async (blockedUntil) => {
  const queue = newQueue()
  await catalog.ensure(queue)
  await expect(hosts.put(queue, 'a.example', { blockedUntil })).rejects.toMatchObject({
    code: 'invalid_request',
    options: { errors: [{ pointer: '/blockedUntil', code: 'invalid_time' }] },
  })
})

test('a queue that is not there is not_found', async () => {
  const queue = newQueue()
  await expect(hosts.get(queue, 'a.example')).rejects.toMatchObject({ code: 'not_found' })
  await expect(hosts.put(queue, 'a.example', {})).rejects.toMatchObject({ code: 'not_found' })
  await expect(hosts.reset(queue, 'a.example')).rejects.toMatchObject({ code: 'not_found' })
})
