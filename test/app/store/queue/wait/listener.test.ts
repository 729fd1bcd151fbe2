import { expect, test } from 'vitest'
import { silentObserver } from '../../../../../app/store/observer.ts'
import { QueueListener } from '../../../../../app/store/queue/wait/listener.ts'
import { atEndOfFile } from '../../../../support/end-of-file.ts'
import { eventually } from '../../../../support/eventually.ts'
import { DatabaseProxy } from '../../../../support/proxy.ts'
import { createFixture, createReplica, itemsOf, newQueue } from '../admin/control-fixture.ts'

const { test: db, store } = await createFixture()
const other = createReplica(db)

function createListener(url: string, checkMs = 20) {
  const heard: string[] = []
  const failures: string[] = []
  let listening = 0
  const listener = new QueueListener({
    url,
    observer: { ...silentObserver, backgroundError: (task) => failures.push(task) },
    onQueue: (queue) => {
      heard.push(queue)
      other.waiters.wake(queue)
    },
    onListening: () => {
      listening += 1
    },
    retryMs: { first: 10, longest: 50 },
    checkMs,
  })
  atEndOfFile(() => listener.stop())
  return { listener, heard, failures, listening: () => listening }
}

const connections = () =>
  db.query<{ pid: number }>(
    `SELECT pid FROM pg_stat_activity WHERE application_name = 'sonoma-storage-listen' AND datname = $1`,
    [db.name],
  )

test('a long poll wakes by a push to another replica, and again after the connection broke', async () => {
  const { listener, heard, failures, listening } = createListener(db.url)
  listener.start()
  await eventually(() => listening() === 1)

  for (const round of [1, 2]) {
    const queue = newQueue()
    const popping = other.store.pop(queue, { count: 1, waitSeconds: 20 })
    await eventually(
      async () => (await db.query('SELECT 1 FROM storage.queue_waiter WHERE queue = $1', [queue])).length === 1,
    )
    await store.push(queue, itemsOf('a.example', 1))
    expect(await popping).toMatchObject([{ id: 'a.example/1' }])
    expect(heard.at(-1)).toBe(queue)
    if (round === 2) break
    await db.query('SELECT pg_terminate_backend($1)', [(await connections())[0]?.pid])
    await eventually(() => listening() === 2)
  }
  expect(failures).toContain('queue listener')

  await listener.stop()
  await eventually(async () => (await connections()).length === 0)
})

test('each break of the connection is reported, whatever it does at that moment', async () => {
  const { listener, failures, listening } = createListener(db.url, 1)
  listener.start()
  for (let breaks = 0; breaks < 50; breaks += 1) {
    await eventually(() => listening() === breaks + 1)
    expect(failures).toHaveLength(breaks)
    await db.query('SELECT pg_terminate_backend($1)', [(await connections())[0]?.pid])
  }
  await eventually(() => listening() === 51)
  await listener.stop()
})

test('a server that falls silent is noticed, and listened to again when it speaks', async () => {
  const proxy = await DatabaseProxy.create(db.url)
  await proxy.open()
  const { listener, failures, listening } = createListener(proxy.url)
  listener.start()
  await eventually(() => listening() === 1)
  proxy.silence()
  await eventually(() => failures.length > 0, { timeoutMs: 20_000 })
  proxy.switchTo(db.url)
  await eventually(() => listening() === 2)
  await listener.stop()
})

test('where nobody waits a push notifies nobody', async () => {
  const { listener, heard, listening } = createListener(db.url)
  listener.start()
  await eventually(() => listening() === 1)
  await store.push(newQueue(), itemsOf('a.example', 1))
  // A notification of our own comes after any that the push had sent.
  await db.query(`SELECT pg_notify('storage_queue', 'the end')`)
  await eventually(() => heard.length > 0)
  expect(heard).toEqual(['the end'])
  await listener.stop()
})

test('it tries again while there is no database, and stops in the middle of that', async () => {
  const { listener, failures } = createListener('postgres://nobody@127.0.0.1:1/nothing')
  listener.start()
  listener.start()
  await eventually(() => failures.length > 2)
  await listener.stop()
})
