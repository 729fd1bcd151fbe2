import { expect, test } from 'vitest'
import type { KubeObject } from '../../../operator/api/object.ts'
import { ApiError } from '../../../operator/kube/api-error.ts'
import { KubeClient } from '../../../operator/kube/client.ts'
import type { ApiRequest, Transport } from '../../../operator/kube/transport.ts'
import { readLastEvents } from '../../../operator/reconcile/last-events.ts'

const { signal } = new AbortController()
const JOB: KubeObject = { apiVersion: 'batch/v1', kind: 'Job', metadata: { name: 'j', namespace: 'search', uid: 'u' } }

function clientOf(send: (request: ApiRequest) => Promise<unknown>): KubeClient {
  return new KubeClient({ send } as unknown as Transport)
}

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
  const found = await readLastEvents(client, [JOB], signal)
  expect([...found]).toEqual([['u', { reason: 'FailedCreate', message: 'by its series', isWarning: true }]])
  expect(asked).toHaveLength(1)
  expect(asked[0]).toMatchObject({
    path: '/apis/events.k8s.io/v1/namespaces/search/events',
    query: { fieldSelector: 'regarding.uid=u' },
  })
  items.shift()
  expect((await readLastEvents(client, [JOB], signal)).get('u')).toMatchObject({
    message: 'by its time',
    isWarning: false,
  })
  items.pop()
  expect((await readLastEvents(client, [JOB], signal)).get('u')).toMatchObject({ message: 'by its last time' })
})

test('nothing is asked for where nothing is silent, and an object of which nothing is said is absent', async () => {
  const none = clientOf(() => Promise.reject(new Error('asked')))
  expect((await readLastEvents(none, [], signal)).size).toBe(0)
  expect(
    (
      await readLastEvents(
        clientOf(async () => ({ items: [] })),
        [JOB],
        signal,
      )
    ).size,
  ).toBe(0)
})

test('an API server that does not give events keeps nothing from being done', async () => {
  const refusing = clientOf(() => Promise.reject(new ApiError(403, 'Forbidden', 'events is forbidden')))
  expect((await readLastEvents(refusing, [JOB], signal)).size).toBe(0)
  const gone = clientOf(() => Promise.reject(new ApiError(0, 'Unreachable', 'connection refused')))
  await expect(readLastEvents(gone, [JOB], signal)).rejects.toMatchObject({ code: 0 })
})
