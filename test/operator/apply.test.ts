import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { applyAll } from '../../operator/apply.ts'
import { KubeClient } from '../../operator/kube/client.ts'
import type { Action } from '../../operator/plan/action.ts'
import { plan } from '../../operator/plan/plan.ts'
import { statusOf } from '../../operator/status.ts'
import { answer, FaultServer, refuse } from './kube/fault-server.ts'
import { START, World } from './plan/world.ts'

const server = new FaultServer()

beforeAll(() => server.start())
afterAll(() => server.stop())
beforeEach(() => {
  server.requests.length = 0
})

const apply = (name: string): Action => ({
  do: 'apply',
  object: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace: 'search', name } },
})

/** Applies `first` and `second` while the API server answers the first one with this code. */
async function applyBoth(code: number) {
  server.handler = (request, response) => {
    if (request.url?.includes('first')) refuse(response, code, 'Because')
    else answer(response, 200, {})
  }
  const done: string[] = []
  const client = new KubeClient(server.transport({ attempts: 1 }))
  const onDone = (action: Action) => done.push(action.do === 'delete' ? '' : action.object.metadata.name)
  const parts = { client, now: START, signal: new AbortController().signal, onDone }
  return { done, applied: await applyAll(parts, [apply('first'), apply('second')]) }
}

describe('an action that the API server', () => {
  test('refuses for good is told, and does not keep the others from being done', async () => {
    const { done, applied } = await applyBoth(422)
    expect(applied).toEqual({ refusals: [{ kind: 'ConfigMap', name: 'first', message: 'refused: Because' }] })
    expect(done).toEqual(['second'])
  })

  test.each([429, 500, 503])('fails at (%i) is told and ends the round', async (code) => {
    const { done, applied } = await applyBoth(code)
    expect(applied.refusals).toMatchObject([{ kind: 'ConfigMap', name: 'first', isTransient: true }])
    expect(applied.failure).toMatchObject({ code })
    expect(done).toEqual([])
  })

  test('calls a conflict rejects: what the caches lack is on its way', async () => {
    await expect(applyBoth(409)).rejects.toMatchObject({ code: 409 })
  })
})

test('the status says what the API server fails at, and that nobody has to act', () => {
  const observed = new World().observed()
  const refusal = { kind: 'Deployment', name: 'crawl-api', message: 'failed calling webhook', isTransient: true }
  const { conditions = [] } = statusOf(observed, plan(observed), [refusal])
  const of = (type: string) => conditions.find((condition) => condition.type === type)
  const message =
    'The API server could not take the Deployment crawl-api; it is tried again. It says: failed calling webhook'
  expect(of('Ready')).toMatchObject({ status: 'False', reason: 'ReconcileFailed', message })
  expect(of('Reconciling')).toMatchObject({ status: 'True', reason: 'ReconcileFailed' })
  expect(of('Stalled')).toMatchObject({ status: 'False' })
})
