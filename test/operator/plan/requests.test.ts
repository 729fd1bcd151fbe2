import { describe, expect, test } from 'vitest'
import { plan } from '../../../operator/plan/plan.ts'
import { planStrayRequests } from '../../../operator/plan/requests.ts'
import { requestStatusOf } from '../../../operator/reconcile/status.ts'
import { instanceOf, requestOf, START, World } from './world.ts'

const KINDS = ['StorageBackup', 'StorageRestore'] as const

describe.each(KINDS)('a %s', (kind) => {
  const world = new World()
  world.requests = [requestOf(kind)]
  const [planned] = plan(world.observed()).requests

  test('has a status of its own, which says that nothing is done for it', () => {
    const status = planned && requestStatusOf(planned, START)
    expect(status).toMatchObject({
      observedGeneration: 1,
      conditions: [
        { type: 'Ready', status: 'False', reason: 'NotImplemented' },
        { type: 'Reconciling', status: 'False', reason: 'Stalled' },
        { type: 'Stalled', status: 'True', reason: 'NotImplemented', lastTransitionTime: '2026-11-23T02:15:00Z' },
      ],
    })
    const told = { ...requestOf(kind), status }
    const later = new Date(START.getTime() + 60_000)
    expect(requestStatusOf({ ...planned, request: told } as NonNullable<typeof planned>, later)).toEqual(status)
  })

  test('waits for its instance where there is none of that name', () => {
    const [stray] = planStrayRequests([requestOf(kind)])
    expect(stray?.step).toMatchObject({ state: 'waiting', why: { reason: 'InstanceNotFound' } })
    expect(stray?.step.why?.message).toContain('StorageInstance crawl in the namespace search')
  })

  test('is let alone while it is being deleted, and while its instance is paused', () => {
    const deleted = requestOf(kind, { deletionTimestamp: START.toISOString() })
    expect(planStrayRequests([deleted])).toEqual([])
    const paused = new World(instanceOf({ paused: true }))
    paused.requests = [requestOf(kind)]
    expect(plan(paused.observed()).requests).toEqual([])
  })
})

test('does not change what is planned for the instance', () => {
  const world = new World()
  world.settle()
  const { steps } = plan(world.observed())
  world.requests = KINDS.map((kind) => requestOf(kind))
  expect(plan(world.observed()).steps).toEqual(steps)
})
