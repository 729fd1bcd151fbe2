import { describe, expect, test } from 'vitest'
import type { KubeObject } from '../../../operator/api/object.ts'
import { RUN_KIND_NAMES } from '../../../operator/api/run-kinds.ts'
import type { SecretState } from '../../../operator/plan/observed.ts'
import { plan } from '../../../operator/plan/plan.ts'
import { instanceOf, type PartialSpec, World } from '../plan/world.ts'

type Port = { protocol: string; port: number }
type Peer = { podSelector: { matchLabels: Record<string, string> } }
type Selector = { matchLabels: Record<string, string>; matchExpressions?: { key: string; values: string[] }[] }
type Policy = KubeObject & {
  spec: {
    podSelector: Selector
    policyTypes: string[]
    ingress?: object[]
    egress: { to?: Peer[]; ports: Port[] }[]
  }
}

const at = (port: number): SecretState => ({ state: 'usable', version: `${port}`, port })
const EXTERNAL: PartialSpec = { database: { external: { secretRef: { name: 'app', key: 'uri' } } } }

/** A policy of an instance that has just been made. */
function policyOf(name: string, spec: PartialSpec = {}, more: Partial<World> = {}): Policy {
  const world = Object.assign(new World(instanceOf(spec)), more)
  world.step()
  world.step()
  const policy = world.find<Policy>('NetworkPolicy', `crawl-${name}`)
  if (policy === undefined) throw new Error(`no policy: ${JSON.stringify(plan(world.observed()))}`)
  return policy
}

const portsOf = (policy: Policy) =>
  policy.spec.egress.flatMap(({ ports }) => ports.map(({ protocol, port }) => `${protocol} ${port}`))

describe('the pods of the service reach', () => {
  test('the DNS of any distribution: some have it on port 5353 behind its Service', () => {
    expect(portsOf(policyOf('api'))).toEqual(expect.arrayContaining(['UDP 53', 'TCP 53', 'UDP 5353', 'TCP 5353']))
  })

  test('the API server on the ports that it has, and where nobody knows them on the usual ones', () => {
    const { release } = new World()
    expect(portsOf(policyOf('api'))).toEqual(expect.arrayContaining(['TCP 443', 'TCP 6443']))
    const ports = portsOf(policyOf('api', {}, { release: { ...release, apiServerPorts: [443, 16443] } }))
    expect(ports).toContain('TCP 16443')
    expect(ports).not.toContain('TCP 6443')
  })
})

describe('the pods of tasks have a policy of their own', () => {
  test('which selects those of every kind of run, and nothing else', () => {
    const { podSelector, policyTypes } = policyOf('tasks').spec
    const { 'app.kubernetes.io/component': component, ...labels } = policyOf('api').spec.podSelector.matchLabels
    expect(component).toBe('api')
    expect(podSelector).toEqual({
      matchLabels: labels,
      matchExpressions: [{ key: 'app.kubernetes.io/component', operator: 'In', values: RUN_KIND_NAMES }],
    })
    expect(policyTypes).toEqual(['Ingress', 'Egress'])
    const world = new World()
    world.settle()
    const [job] = world.jobs
    expect(job?.metadata.labels).toMatchObject(labels)
    expect(RUN_KIND_NAMES).toContain(job?.metadata.labels?.['app.kubernetes.io/component'])
  })

  test('which lets them reach DNS and the managed database, and nobody reach them', () => {
    const { egress, ingress } = policyOf('tasks').spec
    expect(ingress).toEqual([])
    expect(egress).toHaveLength(2)
    expect(egress[1]).toMatchObject({
      to: [{ podSelector: { matchLabels: { 'app.kubernetes.io/component': 'database' } } }],
      ports: [{ protocol: 'TCP', port: 5432 }],
    })
  })

  test('which lets them reach every address of an external database', () => {
    const secrets = { service: at(6432), owner: at(5433), direct: at(5434), replication: at(5435) }
    const ports = portsOf(policyOf('tasks', EXTERNAL, { external: secrets }))
    expect(ports).toEqual(expect.arrayContaining(['TCP 6432', 'TCP 5433', 'TCP 5434', 'TCP 5435']))
    expect(ports).not.toContain('TCP 443')
    const served = portsOf(policyOf('api', EXTERNAL, { external: secrets }))
    expect(served).toEqual(expect.arrayContaining(['TCP 6432', 'TCP 5434']))
    expect(served).not.toContain('TCP 5435')
  })

  test('which goes with the others', () => {
    const world = new World()
    world.settle()
    world.change({ api: { networkPolicy: { enabled: false } } })
    world.settle()
    expect(world.children.filter(({ kind }) => kind === 'NetworkPolicy')).toEqual([])
  })
})

test('the managed database calls nobody, and a rule that somebody adds is taken away', () => {
  const world = new World()
  world.settle()
  const policy = world.find<Policy>('NetworkPolicy', 'crawl-db')
  policy?.spec.egress.push({ ports: [] })
  world.step()
  expect(policy?.spec.egress).toEqual([])
})
