import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CRDS } from '../../operator/api/crds.ts'
import { seed } from '../fault/form.ts'
import { Random } from '../fault/random.ts'
import { eventually } from '../support/eventually.ts'
import type { Call, Fault } from './api-gate.ts'
import { KeptReplica } from './kept-replica.ts'
import { applyObjects, useNamespace } from './kit/namespace.ts'
import { Instance } from './kit/operator.ts'
import { useNoOperator } from './kit/without-operator.ts'
import { kubectl } from './kubectl.ts'

const IS_LONG = process.env.OPERATOR_FAULTS === 'long'
/** Changes while a third of the calls fail. */
const CHANGES = IS_LONG ? 20 : 1
/** How long the watches are cut once a second. */
const CUT_SECONDS = IS_LONG ? 300 : 10
const READY_SECONDS = 240
const FAULTS: Fault[] = [{ status: 429 }, { status: 500 }, { status: 500, isLate: true }]

const space = useNamespace('api-errors')
const random = new Random(seed)
useNoOperator()
let operator: KeptReplica
let crawl: Instance

beforeAll(async () => {
  await applyObjects(CRDS as unknown as Parameters<typeof applyObjects>[0])
  for (const { metadata } of CRDS) await kubectl(['wait', '--for=condition=Established', `crd/${metadata.name}`])
  operator = await KeptReplica.start('only', space)
})

afterAll(() => operator.stop())

/** A fault for a third of the calls, each kind as often. */
function aThird(): Fault | undefined {
  return random.chance(1 / 3) ? random.pick(FAULTS) : undefined
}

/** Objects of random content and runs: none of them may have been made twice. */
function expectNothingTwice(): void {
  for (const plural of ['secrets', 'jobs']) {
    const made = operator.gate.made(plural)
    expect(new Set(made).size, `${plural}: ${made.join(' ')}`).toBe(made.length)
  }
}

/** What a metric counts, over those of its labels that hold `label`. */
async function counted(name: string, label = ''): Promise<number> {
  const values = Object.entries(await operator.process.metric(name)).filter(([labels]) => labels.includes(label))
  return values.reduce((sum, [, value]) => sum + value, 0)
}

const TITLE = `the API server answers 429 or 500 to a third of the calls (seed ${seed}), to some of them after it has carried them out`

describe(TITLE, () => {
  test('an instance is made and changed all the same, and nothing twice', async () => {
    let faults = 0
    operator.gate.faultOf = () => {
      const fault = aThird()
      if (fault !== undefined) faults += 1
      return fault
    }
    const startedAt = performance.now()
    crawl = await Instance.create(space, { api: { replicas: 1 } })
    await crawl.ready(READY_SECONDS)
    const seconds = ((performance.now() - startedAt) / 1_000).toFixed(0)
    for (let change = 0; change < CHANGES; change += 1) {
      await crawl.apply({ api: { replicas: 1 + ((change + 1) % 2), logLevel: change % 3 === 2 ? 'warn' : 'info' } })
      await crawl.ready(READY_SECONDS)
    }
    const calls = operator.gate.calls.filter(({ isWatch }) => !isWatch).length
    console.log(`ready after ${seconds} s; ${faults} faults, ${calls} calls, ${operator.restarts} restarts`)
    expect(faults).toBeGreaterThan(10)
    expectNothingTwice()
    expect(operator.gate.made('secrets')).toHaveLength(4)
    expect(operator.gate.made('jobs')).toHaveLength(2)
    for (const code of ['429', '500']) {
      const told = await counted('rest_client_requests_total', `code="${code}"`)
      expect(told, code).toBeGreaterThan(0)
      expect(told, code).toBeLessThanOrEqual(faults)
    }
  })

  test('what it fails at again and again is said in the status, and done when it works again', async () => {
    const isDeployment = ({ method, path }: Call) => method === 'PATCH' && path.includes('/deployments/')
    operator.gate.faultOf = (call) => (isDeployment(call) ? { status: 500 } : undefined)
    await crawl.apply({ api: { replicas: 1, logLevel: 'debug' } })
    const condition = await crawl.until('Ready', { status: 'False', reason: 'ReconcileFailed' })
    expect(condition.message).toContain('failed to write the Deployment crawl-api')
    expect(condition.message).toContain('injected by the test')
    expect(await crawl.condition('Stalled')).toMatchObject({ status: 'False' })
    expect(await counted('workqueue_retries_total')).toBeGreaterThan(0)
    expect(await counted('controller_runtime_reconcile_errors_total')).toBeGreaterThan(0)
    operator.gate.faultOf = () => undefined
    await crawl.ready()
  })
})

describe(`each watch is cut once a second for ${CUT_SECONDS} s`, () => {
  test('what is changed and deleted meanwhile is seen at once, with few new lists and without a hot loop', async () => {
    const { calls } = operator.gate
    const [from, restarts] = [calls.length, operator.restarts]
    const endsBefore = await counted('reflector_watch_ends_total')
    let cuts = 0
    const cutting = setInterval(() => {
      cuts += 1
      operator.gate.cutWatches()
    }, 1_000)
    const changes = await changeUntil(performance.now() + CUT_SECONDS * 1_000).finally(() => clearInterval(cutting))
    const seen = calls.slice(from)
    const kinds = new Set(seen.filter(({ isWatch }) => isWatch).map(({ path }) => path)).size
    const watches = seen.filter(({ isWatch }) => isWatch).length
    const lists = seen.filter(({ method, isWatch, path }) => method === 'GET' && !isWatch && isCollection(path)).length
    const rest = seen.length - watches - lists
    console.log(
      `${cuts} cuts of ${kinds} watches, ${changes} changes: ${watches} watches, ${lists} lists, ${rest} other calls`,
    )
    expect(watches).toBeLessThanOrEqual((cuts + 2) * kinds)
    // Without a bookmark for long the place of a quiet watch may be forgotten.
    expect(lists).toBeLessThanOrEqual(kinds + (cuts * kinds) / 20)
    expect(rest).toBeLessThanOrEqual(CUT_SECONDS + changes * 40)
    expect(operator.restarts).toBe(restarts)
    expect((await counted('reflector_watch_ends_total')) - endsBefore).toBeGreaterThanOrEqual(cuts)
    await crawl.ready()
  })
})

describe('an instance is deleted while a third of the calls fail', () => {
  test('nothing is left but its claim', async () => {
    operator.gate.faultOf = aThird
    await space.kubectl('delete', crawl.target)
    await eventually(async () => expect(await crawl.children()).toBe('persistentvolumeclaim/crawl-data-1'), {
      timeoutMs: 90_000,
      intervalMs: 1_000,
    })
    expectNothingTwice()
  })
})

/** Changes the spec and deletes a child, again and again; each has to arrive before the next. Answers how often. */
async function changeUntil(endMs: number): Promise<number> {
  let changes = 0
  while (changes === 0 || performance.now() < endMs) {
    changes += 1
    const allow = [{ namespace: space.name, serviceAccount: `caller-${changes}`, access: 'Read' }]
    await crawl.apply({ api: { replicas: 1, auth: { allow } } })
    await space.kubectl('delete', 'service', 'crawl-metrics')
    await eventually(
      async () => {
        const [list, service] = await Promise.all([
          space.kubectl('get', 'configmap', 'crawl-api', '-o', 'jsonpath={.data}'),
          space.kubectl('get', 'service', 'crawl-metrics', '-o', 'name'),
        ])
        expect(list).toContain(`caller-${changes}`)
        expect(service).toBe('service/crawl-metrics')
      },
      { timeoutMs: 10_000, intervalMs: 250 },
    )
  }
  return changes
}

function isCollection(path: string): boolean {
  // /api/v1/namespaces/n/pods and /apis/apps/v1/namespaces/n/deployments name no object.
  return path.split('/').length === (path.startsWith('/api/') ? 6 : 7)
}
