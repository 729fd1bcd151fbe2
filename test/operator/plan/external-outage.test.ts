import { describe, expect, test } from 'vitest'
import { LABELS } from '../../../operator/api/labels.ts'
import type { Deployment, Pod } from '../../../operator/plan/live-objects.ts'
import { plan } from '../../../operator/plan/plan.ts'
import { instanceOf, type PartialSpec, World } from './world.ts'

const OK = { state: 'usable', version: 'v-1' } as const
const PROBED = { code: 'ok', version: '17.6', versionNumber: 170_006, maxConnections: 200 }
const AWAY = { code: 'unreachable', error: 'The database cannot be reached: connect ECONNREFUSED.' }

/** An instance on an external database; `serves` is whether its pods are ready, and its probes find `found`. */
class Outage {
  readonly world: World
  found: { code: string; [figure: string]: unknown } = PROBED
  serves = true
  writes = 0
  #since: Date

  constructor(spec: PartialSpec = {}) {
    this.world = new World(instanceOf({ database: { external: { secretRef: { name: 'app', key: 'uri' } } }, ...spec }))
    this.world.external = { service: OK, owner: OK }
    this.#since = this.world.now
    this.pass(120)
  }

  serve(serves: boolean): void {
    this.serves = serves
    this.#since = this.world.now
  }

  /** Lets seconds go by, with a reconcile in each, or fewer where it is long. */
  pass(seconds: number): void {
    const stride = seconds > 600 ? 5 : 1
    for (let second = 0; second < seconds; second += stride) {
      const before = JSON.stringify(this.world.instance.status)
      this.world.step()
      if (JSON.stringify(this.world.instance.status) !== before) this.writes += 1
      this.#endJobs()
      this.world.flourish()
      this.#tell()
      this.world.pass(stride)
    }
  }

  /** The probes that were made. */
  get probes(): number {
    return this.world.made.filter((name) => name.includes('-probe-')).length
  }

  get reachable() {
    return this.world.condition('DatabaseReachable')
  }

  #endJobs(): void {
    for (const name of this.world.made.filter((job) => job.includes('-probe-'))) this.world.endJob(name, this.found)
  }

  #tell(): void {
    const deployment = this.world.find<Deployment>('Deployment', 'crawl-api')
    if (!this.serves && deployment?.status)
      deployment.status = { ...deployment.status, readyReplicas: 0, availableReplicas: 0 }
    const status = this.serves ? 'True' : 'False'
    const ready = { type: 'Ready', status, lastTransitionTime: this.#since.toISOString() }
    const labels = { [LABELS.component]: 'api' }
    const pod: Pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'crawl-api-1', labels },
      status: { conditions: [ready] },
    }
    this.world.pods = [...this.world.pods.filter(({ metadata }) => metadata.name !== 'crawl-api-1'), pod]
  }
}

describe('an external database that goes away', () => {
  test('is noticed within a minute, and so is its return', () => {
    const outage = new Outage()
    expect(outage.reachable).toMatchObject({ status: 'True' })
    outage.found = AWAY
    outage.serve(false)
    outage.pass(60)
    expect(outage.reachable).toMatchObject({ status: 'False', reason: 'DatabaseUnreachable' })
    expect(outage.world.condition('Ready')).toMatchObject({ status: 'False', reason: 'DatabaseUnreachable' })
    outage.pass(3_600)
    expect(outage.reachable).toMatchObject({ status: 'False', reason: 'DatabaseUnreachable' })
    outage.found = PROBED
    outage.serve(true)
    outage.pass(10)
    expect(outage.reachable).toMatchObject({ status: 'True' })
    expect(outage.world.condition('Ready')).toMatchObject({ status: 'True' })
  })

  test('keeps its condition while it is tried again, and is not tried all the time', () => {
    const outage = new Outage()
    const before = outage.probes
    outage.found = AWAY
    outage.serve(false)
    outage.pass(60)
    const seen = new Set<string | undefined>()
    for (let second = 0; second < 3_600; second += 5) {
      outage.pass(5)
      seen.add(outage.reachable?.reason)
    }
    expect([...seen]).toEqual(['DatabaseUnreachable'])
    expect(outage.probes - before).toBeLessThan(25)
  })

  test('before there is a pod that would tell is tried every half a minute', () => {
    const outage = new Outage({ api: { replicas: 0 } })
    outage.world.external = { service: { ...OK, version: 'v-2' }, owner: { ...OK, version: 'v-2' } }
    outage.found = AWAY
    outage.pass(3_600)
    expect(outage.reachable).toMatchObject({ status: 'False', reason: 'DatabaseUnreachable' })
    outage.found = PROBED
    outage.pass(45)
    expect(outage.reachable).toMatchObject({ status: 'True' })
  })
})

describe('an external database that answers', () => {
  test('is not looked at again, and nothing is written, while the pods serve', () => {
    const outage = new Outage()
    outage.writes = 0
    const before = outage.probes
    outage.pass(3_600)
    expect({ probes: outage.probes - before, writes: outage.writes }).toEqual({ probes: 0, writes: 0 })
    expect(plan(outage.world.observed()).steps.database?.requeueAfterMs).toBeUndefined()
  })

  test('stays reachable while pods fail for another reason, and is looked at less and less often', () => {
    const outage = new Outage()
    const before = outage.probes
    outage.serve(false)
    for (let second = 0; second < 3_600; second += 5) {
      outage.pass(5)
      expect(outage.reachable).toMatchObject({ status: 'True' })
    }
    expect(outage.probes - before).toBeGreaterThan(3)
    expect(outage.probes - before).toBeLessThan(13)
  })

  test('but takes too few connections is asked again how many it takes', () => {
    const outage = new Outage({ api: { replicas: 20 } })
    expect(outage.reachable).toMatchObject({ status: 'False', reason: 'ConnectionsExceeded' })
    outage.found = { ...PROBED, maxConnections: 1_000 }
    outage.pass(300)
    expect(outage.reachable).toMatchObject({ status: 'True' })
    expect(outage.world.condition('Ready')).toMatchObject({ status: 'True' })
  })
})
