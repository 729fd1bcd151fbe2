import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Manifest } from '../../../operator/desired/child.ts'
import { errorOfAnswer } from '../../../operator/kube/api-error.ts'
import { KubeClient } from '../../../operator/kube/client.ts'
import type { Action } from '../../../operator/plan/action.ts'
import type { Deployment } from '../../../operator/plan/live-objects.ts'
import { plan, stepsOf } from '../../../operator/plan/plan.ts'
import { applyAll, nameOf } from '../../../operator/reconcile/apply.ts'
import { ChildMemory } from '../../../operator/reconcile/child-memory.ts'
import { statusOf } from '../../../operator/reconcile/status.ts'
import { answer, FaultServer } from '../kube/fault-server.ts'
import { instanceOf, type PartialSpec, World } from '../plan/world.ts'

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

type Said = { reason?: string; message?: string; details?: object }

/** Applies `first` and `second` while the API server answers the first one with this code. */
async function applyBoth(
  code: number,
  said: Said = { reason: 'Because', message: 'refused: Because' },
  first = apply('first'),
) {
  server.handler = (request, response) => {
    const isFirst = request.url?.includes('first') || request.method === 'POST'
    if (isFirst) answer(response, code, { kind: 'Status', status: 'Failure', code, ...said })
    else answer(response, 200, {})
  }
  const done: string[] = []
  const client = new KubeClient(server.transport({ attempts: 1 }))
  const onDone = (action: Action) => done.push(action.do === 'delete' ? '' : action.object.metadata.name)
  const parts = {
    client,
    observed: new World().observed(),
    signal: new AbortController().signal,
    onDone,
    memory: new ChildMemory(),
  }
  return { done, applied: await applyAll(parts, [first, apply('second')]) }
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
    await expect(applyBoth(409, { reason: 'Conflict' })).rejects.toMatchObject({ code: 409 })
  })
})

describe('what the API server answers is told by its code and reasons, not by its words:', () => {
  const denied = 'admission webhook "policy" denied the request: label team not found, a namespace is being terminated'

  test.each([400, 403, 404, 405, 409, 413, 422])('a webhook that refuses with %i', async (code) => {
    for (const said of [
      { message: denied },
      { message: denied, reason: 'NotFound', details: { kind: 'teams', name: 'x' } },
    ]) {
      const { done, applied } = await applyBoth(code, said)
      expect(applied).toEqual({ refusals: [{ kind: 'ConfigMap', name: 'first', message: denied }] })
      expect(done).toEqual(['second'])
    }
  })

  test.each(['create', 'issue'] as const)(
    'a webhook that refuses to %s with 409 has not made the object',
    async (verb) => {
      const object = { apiVersion: 'v1', kind: 'Secret', metadata: { namespace: 'search', name: 'first' } }
      const action: Action = verb === 'create' ? { do: verb, object } : { do: verb, content: 'credentials', object }
      expect((await applyBoth(409, { message: denied }, action)).applied.refusals).toHaveLength(1)
      expect((await applyBoth(409, { reason: 'AlreadyExists' }, action)).done).toEqual(['first', 'second'])
    },
  )

  test.each([
    ['a namespace that goes', 403, { reason: 'Forbidden', details: { causes: [{ reason: 'NamespaceTerminating' }] } }],
    ['a namespace that is gone', 404, { reason: 'NotFound', details: { kind: 'namespaces', name: 'search' } }],
    ['an object that is gone', 404, { reason: 'NotFound', details: { kind: 'configmaps', name: 'first' } }],
    ['a token that is not known any more', 401, { reason: 'Unauthorized' }],
  ])('%s is nothing that somebody could mend', async (_what, code, said) => {
    await expect(applyBoth(code, said)).rejects.toMatchObject({ code })
  })

  test('an expired version, also of an API server that does not have it yet', () => {
    const body = (status: object) => JSON.stringify(status)
    const tooLarge = { reason: 'Timeout', message: 'x', details: { causes: [{ reason: 'ResourceVersionTooLarge' }] } }
    expect(errorOfAnswer(504, {}, body(tooLarge)).isExpired).toBe(true)
    expect(errorOfAnswer(504, {}, body({ reason: 'Timeout', message: 'resource version' })).isExpired).toBe(false)
  })
})

describe('an object of somebody else', () => {
  /** Carries out what is planned for a world, and answers the paths that were written to. */
  async function carryOut(
    world: World,
    actions = stepsOf(plan(world.observed())).flatMap((step) => step.actions ?? []),
  ) {
    const client = new KubeClient(server.transport({ attempts: 1 }))
    server.handler = (_request, response) => answer(response, 200, {})
    const done: string[] = []
    const onDone = (action: Action) => done.push(`${nameOf(action).kind} ${nameOf(action).name}`)
    const { signal } = new AbortController()
    const { refusals } = await applyAll(
      { client, observed: world.observed(), signal, onDone, memory: new ChildMemory() },
      actions,
    )
    return { done, refusals }
  }

  /** Every child, as it would be if somebody else had made it. */
  function taken(spec: PartialSpec): World {
    const world = new World(instanceOf(spec))
    world.settle()
    for (const child of [...world.children, ...world.jobs]) {
      Object.assign(child.metadata, { ownerReferences: [], labels: {}, uid: `theirs-${child.kind}` })
    }
    return world
  }

  test('is left alone, of whatever kind it is', async () => {
    const api = { replicas: 3, autoscaling: { minReplicas: 2, maxReplicas: 4 } }
    const world = taken({ api })
    const kinds = [...new Set([...world.children, ...world.jobs].map(({ kind }) => kind))]
    expect(kinds).toHaveLength(11)
    const actions = [...world.children, ...world.jobs].flatMap((child): Action[] => {
      const { apiVersion, kind, metadata } = child
      const { name, namespace = '', uid = '' } = metadata
      return [
        { do: 'apply', object: child as Manifest },
        { do: 'apply', object: { apiVersion, kind, metadata: { name, namespace }, spec: { replicas: 9 } } },
        { do: 'renew', object: child as Manifest },
        { do: 'delete', target: { apiVersion, kind, name, namespace, uid } },
      ]
    })
    const { done, refusals } = await carryOut(world, actions)
    expect(done).toEqual([])
    expect(server.requests).toEqual([])
    expect(refusals).toHaveLength(actions.length)
    const { conditions = [] } = statusOf(world.observed(), plan(world.observed()), refusals)
    const stalled = conditions.find(({ type }) => type === 'Stalled')
    expect(stalled).toMatchObject({ status: 'True', reason: 'ForeignObject' })
  })

  test('is not scaled: a Deployment with the name of ours keeps its number of pods', async () => {
    const world = new World(instanceOf({ api: { replicas: 3 } }))
    world.settle()
    const deployment = world.find<Deployment>('Deployment', 'crawl-api')
    Object.assign(deployment?.metadata ?? {}, { ownerReferences: [], labels: {}, uid: 'theirs' })
    Object.assign(deployment?.spec ?? {}, { replicas: 1 })
    const { done } = await carryOut(world)
    expect(done).not.toContain('Deployment crawl-api')
    expect(server.requests.filter(({ url }) => url.includes('/deployments/'))).toEqual([])
    world.change({ api: { autoscaling: { minReplicas: 2, maxReplicas: 4 } } })
    expect((await carryOut(world)).done).not.toContain('HorizontalPodAutoscaler crawl-api')
  })

  test('is not used: no PostgreSQL is started on a claim or a Secret of somebody else', async () => {
    for (const [apiVersion, kind, name] of [
      ['v1', 'PersistentVolumeClaim', 'crawl-data-1'],
      ['v1', 'Secret', 'crawl-db'],
    ] as const) {
      const world = new World()
      world.children.push({ apiVersion, kind, metadata: { name, namespace: 'search', uid: 'theirs' } })
      world.settle()
      expect(world.find('StatefulSet', 'crawl-db')).toBeUndefined()
      expect(world.condition('Stalled')).toMatchObject({ status: 'True', reason: 'ForeignObject' })
    }
  })
})

test('the status says what the API server fails at, and that nobody has to act', () => {
  const observed = new World().observed()
  const refusal = { kind: 'Deployment', name: 'crawl-api', message: 'failed calling webhook', isTransient: true }
  const { conditions = [] } = statusOf(observed, plan(observed), [refusal])
  const of = (type: string) => conditions.find((condition) => condition.type === type)
  const message =
    'The API server failed to write the Deployment crawl-api; the operator retries. Its message: failed calling webhook'
  expect(of('Ready')).toMatchObject({ status: 'False', reason: 'ReconcileFailed', message })
  expect(of('Reconciling')).toMatchObject({ status: 'True', reason: 'ReconcileFailed' })
  expect(of('Stalled')).toMatchObject({ status: 'False' })
})
