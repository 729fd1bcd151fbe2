import { describe, expect, test } from 'vitest'
import { LABELS } from '../../../operator/api/labels.ts'
import type { Deployment, Pod } from '../../../operator/plan/live-objects.ts'
import type { SecretState } from '../../../operator/plan/observed.ts'
import { plan, stepsOf } from '../../../operator/plan/plan.ts'
import { instanceOf, World } from './world.ts'

const REFERENCE = { name: 'app', key: 'uri' }
const DIRECT = { name: 'direct', key: 'uri' }
const usable = (version: string, port?: number): SecretState => ({ state: 'usable', version, ...(port && { port }) })
const PROBED = { code: 'ok', versionNumber: 170_006, maxConnections: 200, isPooled: false, database: '1/db' }
const POOLED = { isPooled: true, database: '1/db' }
const STRAIGHT = { isPooled: false, database: '1/db' }

function worldOf(external: object, direct?: SecretState): World {
  const world = new World(instanceOf({ database: { external: { secretRef: REFERENCE, ...external } } }))
  world.external = { service: usable('v-1', 6_432), owner: usable('v-1') }
  if (direct) world.external.direct = direct
  return world
}

/** What is said of a database of which a probe tells this. */
function judged(external: object, report: { code: string; [figure: string]: unknown }, direct?: SecretState) {
  const world = worldOf(external, direct)
  world.step()
  world.endJob(world.made[0] ?? '', report)
  world.step()
  return { world, condition: world.condition('DatabaseReachable') }
}

describe('an external database behind a pooler', () => {
  test('is used through it, and past it for LISTEN; both Secrets roll the pods', () => {
    const report = { ...PROBED, service: POOLED, direct: STRAIGHT }
    const { world, condition } = judged({ directSecretRef: DIRECT }, report, usable('d-1', 5_433))
    expect(condition).toMatchObject({ status: 'True', message: 'The external database accepts connections.' })
    expect(world.instance.status?.database?.capabilities).toContain('listen')
    world.settle()
    const template = () => world.find<Deployment>('Deployment', 'crawl-api')?.spec?.template
    const env = template()?.spec?.containers?.[0]?.env
    expect(env).toContainEqual({ name: 'DATABASE_DIRECT_URL', valueFrom: { secretKeyRef: DIRECT } })
    expect(JSON.stringify(world.find('NetworkPolicy', 'crawl-api'))).toMatch(/6432.*5433/)
    const before = template()?.metadata?.annotations
    if (world.external) world.external.direct = usable('d-2')
    world.step()
    world.endJob(world.made.at(-1) ?? '', report)
    world.settle()
    expect(template()?.metadata?.annotations).not.toEqual(before)
  })

  test('is probed by all of its addresses', () => {
    const world = worldOf({ directSecretRef: DIRECT, ownerSecretRef: { name: 'owner', key: 'uri' } }, usable('d-1'))
    world.step()
    const [job] = world.jobs as unknown as {
      spec: { template: { spec: { containers: { env: { name: string }[] }[] } } }
    }[]
    const names = job?.spec.template.spec.containers[0]?.env.map(({ name }) => name)
    expect(names).toEqual(['DATABASE_URL', 'SERVICE_URL', 'DIRECT_URL'])
  })

  test('with an owner that goes past it works, and the condition says what LISTEN lacks', () => {
    const { condition } = judged({ ownerSecretRef: { name: 'owner', key: 'uri' } }, { ...PROBED, service: POOLED })
    expect(condition).toMatchObject({ status: 'True' })
    expect(condition?.message).toContain('set directSecretRef')
  })

  test.each([
    [
      'migrations would go through it',
      {},
      { ...PROBED, isPooled: true, service: POOLED },
      'set directSecretRef or ownerSecretRef',
    ],
    [
      'directSecretRef leads to it, too',
      { directSecretRef: DIRECT },
      { ...PROBED, service: POOLED, direct: POOLED },
      'directSecretRef leads to a pooler',
    ],
    [
      'directSecretRef leads elsewhere',
      { directSecretRef: DIRECT },
      { ...PROBED, service: STRAIGHT, direct: { ...STRAIGHT, database: '2/db' } },
      'secretRef and directSecretRef lead to different databases',
    ],
    [
      'ownerSecretRef leads elsewhere',
      { ownerSecretRef: DIRECT },
      { ...PROBED, database: '2/db', service: STRAIGHT },
      'lead to different databases',
    ],
  ])('is refused where %s', (_what, external, report, said) => {
    const { condition } = judged(external, report, 'directSecretRef' in external ? usable('d-1') : undefined)
    expect(condition).toMatchObject({ status: 'False', reason: 'DatabaseUnsuitable' })
    expect(condition?.message).toContain(said)
  })

  test('whose direct Secret is missing says so', () => {
    const world = worldOf({ directSecretRef: DIRECT }, { state: 'missing' })
    world.step()
    expect(world.condition('DatabaseReachable')).toMatchObject({ reason: 'SecretMissing' })
    expect(world.condition('DatabaseReachable')?.message).toContain('spec.database.external.directSecretRef')
  })
})

test('credentials are rejected where the probe says so, whatever the words of the error', () => {
  const localized = judged({}, { code: 'credentials_rejected', error: 'Passwort-Authentifizierung fehlgeschlagen' })
  expect(localized.condition).toMatchObject({ status: 'False', reason: 'CredentialsRejected' })
  const quoted = judged({}, { code: 'failed', error: 'database "password authentication failed" does not exist' })
  expect(quoted.condition).toMatchObject({ status: 'False', reason: 'ProbeFailed' })
})

test('pods that the API server rejects are reported in its words', () => {
  const world = new World()
  world.settle()
  const message = 'pods "crawl-api-x" is forbidden: exceeded quota: compute, requested: limits.cpu=1'
  const conditions = [{ type: 'ReplicaFailure', status: 'True', reason: 'FailedCreate', message }]
  const deployment = world.find<Deployment>('Deployment', 'crawl-api')
  Object.assign(deployment?.status ?? {}, { availableReplicas: 1, readyReplicas: 1, conditions })
  world.step()
  expect(world.condition('Stalled')).toMatchObject({ status: 'True', reason: 'PodsNotCreated' })
  expect(world.condition('Stalled')?.message).toContain(message)
  expect(world.condition('ApiAvailable')).toMatchObject({ status: 'True', reason: 'ApiDegraded' })
})

describe('a pod that runs but does not become ready', () => {
  function unready(container: object, seconds: number) {
    const world = new World()
    world.settle()
    const deployment = world.find<Deployment>('Deployment', 'crawl-api')
    Object.assign(deployment?.status ?? {}, { availableReplicas: 1, readyReplicas: 1 })
    const ready = { type: 'Ready', status: 'False', lastTransitionTime: world.now.toISOString() }
    const metadata = { name: 'crawl-api-x', labels: { [LABELS.component]: 'api' } }
    const status = { phase: 'Running', conditions: [ready], containerStatuses: [{ name: 'service', ...container }] }
    world.pods.push({ apiVersion: 'v1', kind: 'Pod', metadata, status } as Pod)
    world.pass(seconds)
    world.step()
    return world
  }
  const killed = { exitCode: 137, reason: 'Error', message: 'the database cannot be reached (timeout)' }

  test('is reported after a minute with its own last error', () => {
    const world = unready({ state: { running: {} }, lastState: { terminated: killed }, restartCount: 1 }, 61)
    const condition = world.condition('ApiAvailable')
    expect(condition).toMatchObject({ status: 'True', reason: 'ApiDegraded' })
    expect(condition?.message).toContain('the database cannot be reached (timeout)')
    expect(world.condition('Ready')).toMatchObject({ status: 'False', reason: 'PodNotReady' })
    const waiting = unready({ state: { waiting: { reason: 'CreateContainerError', message: 'no space' } } }, 61)
    expect(waiting.condition('Ready')?.message).toContain('no space')
  })

  test('is given a minute, and looked at again then', () => {
    const world = unready({ state: { running: {} } }, 30)
    expect(world.condition('ApiAvailable')).toMatchObject({ reason: 'ApiRollingOut' })
    const waits = stepsOf(plan(world.observed())).flatMap((step) => step.requeueAfterMs ?? [])
    expect(Math.min(...waits)).toBeLessThanOrEqual(15_000)
  })
})
