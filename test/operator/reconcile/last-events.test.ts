import { describe, expect, test } from 'vitest'
import type { KubeObject } from '../../../operator/api/object.ts'
import { ApiError } from '../../../operator/kube/api-error.ts'
import { KubeClient } from '../../../operator/kube/client.ts'
import type { ApiRequest, Transport } from '../../../operator/kube/transport.ts'
import { LastEvents } from '../../../operator/reconcile/last-events.ts'

const { signal } = new AbortController()
const JOB: KubeObject = { apiVersion: 'batch/v1', kind: 'Job', metadata: { name: 'j', namespace: 'search', uid: 'u' } }

function clientOf(send: (request: ApiRequest) => Promise<unknown>): KubeClient {
  return new KubeClient({ send } as unknown as Transport)
}

const NOW = new Date('2026-11-23T02:15:00Z')
const read = (client: KubeClient, objects: KubeObject[], events = new LastEvents(), now = NOW) =>
  events.read(client, objects, { now, signal })

const event = (note: string, times: object, type = 'Warning') => ({
  metadata: { name: note, creationTimestamp: '2026-11-23T02:00:00Z' },
  reason: 'FailedCreate',
  type,
  note,
  ...times,
})

test('the newest event of an object counts, by whichever time its reporter writes', async () => {
  const asked: ApiRequest[] = []
  const items = [
    event('by its series', {
      eventTime: '2026-11-23T02:01:00.000000Z',
      series: { lastObservedTime: '2026-11-23T02:09:00.000000Z' },
    }),
    event('by its last time', { eventTime: null, deprecatedLastTimestamp: '2026-11-23T02:05:00Z' }),
    event('by its time', { eventTime: '2026-11-23T02:08:00.000000Z', deprecatedLastTimestamp: null }, 'Normal'),
  ]
  const client = clientOf(async (request) => {
    asked.push(request)
    return { items }
  })
  const found = await read(client, [JOB])
  expect([...found]).toEqual([['u', { reason: 'FailedCreate', message: 'by its series', isWarning: true }]])
  expect(asked).toHaveLength(1)
  expect(asked[0]).toMatchObject({
    path: '/apis/events.k8s.io/v1/namespaces/search/events',
    query: { fieldSelector: 'regarding.uid=u' },
  })
  items.shift()
  expect((await read(client, [JOB])).get('u')).toMatchObject({
    message: 'by its time',
    isWarning: false,
  })
  items.pop()
  expect((await read(client, [JOB])).get('u')).toMatchObject({ message: 'by its last time' })
})

test('nothing is asked for where nothing is silent, and an object of which nothing is said is absent', async () => {
  const none = clientOf(() => Promise.reject(new Error('asked')))
  expect((await read(none, [])).size).toBe(0)
  expect(
    (
      await read(
        clientOf(async () => ({ items: [] })),
        [JOB],
      )
    ).size,
  ).toBe(0)
})

test('an API server that does not give events keeps nothing from being done', async () => {
  const refusing = clientOf(() => Promise.reject(new ApiError(403, 'Forbidden', 'events is forbidden')))
  expect((await read(refusing, [JOB])).size).toBe(0)
  const gone = clientOf(() => Promise.reject(new ApiError(0, 'Unreachable', 'connection refused')))
  await expect(read(gone, [JOB])).rejects.toMatchObject({ code: 0 })
})

describe('what is known', () => {
  /** A client that counts what it is asked for, and answers with that number. */
  function counting(): { client: KubeClient; asked: () => number } {
    let asked = 0
    const client = clientOf(async () => {
      asked += 1
      return { items: [event(`${asked}`, {})] }
    })
    return { client, asked: () => asked }
  }
  const at = (seconds: number) => new Date(NOW.getTime() + seconds * 1_000)
  const job = (uid: string) => ({ ...JOB, metadata: { ...JOB.metadata, uid } })

  test('is asked for again after some seconds only', async () => {
    const [{ client, asked }, events] = [counting(), new LastEvents()]
    for (const seconds of [0, 1, 7]) {
      expect((await read(client, [JOB], events, at(seconds))).get('u')).toMatchObject({ message: '1' })
    }
    expect((await read(client, [JOB], events, at(10))).get('u')).toMatchObject({ message: '2' })
    expect(asked()).toBe(2)
  })

  test('has to do where many things wait at once: each of them is asked for in its turn', async () => {
    const [{ client, asked }, events] = [counting(), new LastEvents()]
    const jobs = Array.from({ length: 25 }, (_, index) => job(`u${index}`))
    expect((await read(client, jobs, events)).size).toBe(10)
    expect((await read(client, jobs, events, at(0.5))).size).toBe(10)
    expect(asked()).toBe(10)
    for (const seconds of [1, 2]) await read(client, jobs, events, at(seconds))
    expect((await read(client, jobs, events, at(2))).size).toBe(25)
    expect(asked()).toBe(25)
  })
})
