import { describe, expect, test } from 'vitest'
import { type EventRequest, KubeEvents } from '../../../operator/kube/events.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { ObjectStore } from './object-store.ts'

const INSTANCE = {
  apiVersion: 'storage.sonoma.dev/v1alpha1',
  kind: 'StorageInstance',
  metadata: { namespace: 'search', name: 'crawl', uid: 'u-1', resourceVersion: '7' },
}
const EVENT: EventRequest = {
  regarding: INSTANCE,
  type: 'Warning',
  reason: 'SecretMissing',
  message: 'The secret crawl-db does not exist.',
  action: 'Reconcile',
}

type Written = {
  metadata: { name: string; namespace: string }
  reason: string
  note: string
  series?: { count: number }
}

function start() {
  const [store, clock] = [new ObjectStore(), new FakeClock()]
  const errors: unknown[] = []
  let dropped = 0
  const events = new KubeEvents({
    client: store.client,
    clock,
    controller: 'storage.sonoma.dev/operator',
    instance: 'operator-0',
    onError: (error) => errors.push(error),
    onDropped: () => {
      dropped += 1
    },
  })
  events.start()
  const written = () => [...store.objects.values()] as unknown as Written[]
  return { store, clock, events, errors, written, dropped: () => dropped }
}

describe('events', () => {
  test('are written at once, in the form of events.k8s.io/v1', async () => {
    const { events, clock, written } = start()
    await clock.pass(0)
    events.record(EVENT)
    await clock.pass(0)
    expect(written()).toMatchObject([
      {
        apiVersion: 'events.k8s.io/v1',
        kind: 'Event',
        metadata: { name: expect.stringMatching(/^crawl\.[0-9a-f]+$/), namespace: 'search' },
        eventTime: '2026-11-25T00:00:01.000000Z',
        reportingController: 'storage.sonoma.dev/operator',
        reportingInstance: 'operator-0',
        type: 'Warning',
        reason: 'SecretMissing',
        action: 'Reconcile',
        note: EVENT.message,
        regarding: { kind: 'StorageInstance', namespace: 'search', name: 'crawl', uid: 'u-1' },
      },
    ])
    await events.stop()
  })

  test('that repeat become one with a count, written once a minute at most', async () => {
    const { events, clock, written, store } = start()
    for (let i = 0; i < 100; i += 1) {
      events.record(EVENT)
      await clock.pass(1_000)
    }
    await clock.pass(60_000)
    expect(written()).toMatchObject([{ series: { count: 100 } }])
    expect(store.writes).toBeLessThanOrEqual(4)
    await clock.pass(10 * 60_000)
    expect(store.writes).toBeLessThanOrEqual(4)
    await events.stop()
  })

  test('that come again after long are new ones', async () => {
    const { events, clock, written } = start()
    events.record(EVENT)
    await clock.pass(10 * 60_000)
    events.record(EVENT)
    await clock.pass(0)
    expect(written().length).toBe(2)
    await events.stop()
  })

  test('of one object are bounded, those of others are not touched by that', async () => {
    const { events, clock, written, dropped } = start()
    for (let i = 0; i < 40; i += 1) events.record({ ...EVENT, message: `number ${i}` })
    events.record({ ...EVENT, regarding: { ...INSTANCE, metadata: { ...INSTANCE.metadata, name: 'b', uid: 'u-2' } } })
    await clock.pass(0)
    expect([written().length, dropped()]).toEqual([26, 15])
    await clock.pass(2 * 60_000)
    for (let i = 0; i < 5; i += 1) events.record({ ...EVENT, message: `later ${i}` })
    await clock.pass(0)
    expect(written().length).toBe(28)
    await events.stop()
  })

  test('that cannot be written are lost, told as an error, and never tried in a loop', async () => {
    const { events, clock, written, store, errors } = start()
    store.outage = new Error('the API server is away')
    events.record(EVENT)
    await clock.pass(120_000)
    expect(errors.length).toBe(1)
    store.outage = undefined
    events.record({ ...EVENT, message: 'another one' })
    await clock.pass(0)
    expect(written().map(({ note }) => note)).toEqual(['another one'])
    await events.stop()
  })

  test('that were written although the answer was lost are written once, and are no error', async () => {
    const { events, clock, written, errors, store } = start()
    const { create } = store.client
    store.client.create = async (object, options) => {
      await create(object, options)
      return create(object, options)
    }
    events.record(EVENT)
    await clock.pass(0)
    expect([written().length, errors]).toEqual([1, []])
    await events.stop()
  })

  test('whose object the API server has dropped are written anew with their count', async () => {
    const { events, clock, written, store } = start()
    events.record(EVENT)
    await clock.pass(0)
    store.objects.clear()
    events.record(EVENT)
    await clock.pass(90_000)
    expect(written()).toMatchObject([{ reason: 'SecretMissing', series: { count: 2 } }])
    await events.stop()
  })

  test('that are not written yet when the operator stops are written then; long messages are cut', async () => {
    const { events, clock, written } = start()
    events.record({ ...EVENT, message: 'x'.repeat(5_000) })
    await events.stop()
    expect(written()[0]?.note.length).toBe(1_024)
    expect(clock.pending).toBe(0)
  })
})
