import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { manifestsApp } from '../../cdk8s/app.ts'
import { OPERATOR } from '../../cdk8s/constructs/metadata.ts'
import { type InstallOptions, readCommand } from '../../cdk8s/options.ts'
import { ensureCustomResources } from './kit/custom-resources.ts'
import { useNamespace } from './kit/namespace.ts'
import type { KubeObject } from './kit/objects.ts'
import { ensureMonitoringKinds } from './kit/prometheus.ts'
import { tryKubectl } from './kubectl.ts'

const space = useNamespace('install')
const watched = useNamespace('watched')
const stranger = useNamespace('stranger')
const folder = mkdtempSync(join(tmpdir(), 'install-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** Writes the manifests for a namespace of this test; answers the path of install.yaml. */
function synthesize(name: string, options: Partial<InstallOptions> = {}): string {
  const out = join(folder, name)
  manifestsApp({ ...readCommand([], {}).install, namespace: space.name, ...options }, out).synth()
  return join(out, 'install.yaml')
}

describe('install.yaml', () => {
  test('is taken by the API server whole, without a warning of Pod Security', async () => {
    const file = synthesize('all')
    const { code, stderr, stdout } = await tryKubectl([
      'apply',
      '--server-side',
      '--dry-run=server',
      '--force-conflicts',
      '-f',
      file,
    ])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout.split('\n').filter((line) => line.includes('serverside-applied'))).toHaveLength(13)
  })

  test('makes pods that the policy restricted lets in', async () => {
    type Deployment = KubeObject & { spec: { template: { metadata: object; spec: object } } }
    const items = read(synthesize('pods'))
    const deployment = items.find(({ kind }) => kind === 'Deployment') as Deployment
    const { spec } = deployment.spec.template
    const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'operator', namespace: space.name }, spec }
    await space.apply({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: OPERATOR } })
    const answer = await tryKubectl(['create', '--dry-run=server', '-f', '-'], { input: JSON.stringify(pod) })
    expect(answer).toMatchObject({ code: 0, stderr: '' })
  })
})

describe('monitoring.yaml', () => {
  test('is taken by the API server where Prometheus Operator is installed', async () => {
    await ensureMonitoringKinds()
    const file = join(dirname(synthesize('monitored')), 'monitoring.yaml')
    const { code, stdout, stderr } = await tryKubectl(['apply', '--server-side', '--dry-run=server', '-f', file])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout.match(/^servicemonitor/gm)).toHaveLength(2)
  })
})

function read(file: string): KubeObject[] {
  return parseAllDocuments(readFileSync(file, 'utf8')).map((document) => document.toJS() as KubeObject)
}

/** Whether the operator of this test may do something; what follows a colon is a subresource. */
async function may(verb: string, what: string, namespace: string): Promise<boolean> {
  const [resource = '', subresource = ''] = what.split(':')
  const as = ['-n', namespace, `--as=system:serviceaccount:${space.name}:${OPERATOR}`, `--subresource=${subresource}`]
  return (await tryKubectl(['auth', 'can-i', verb, resource, ...as])).stdout.trim() === 'yes'
}

describe('an operator that looks after named namespaces', () => {
  beforeAll(async () => {
    await ensureCustomResources()
    const rights = /^(ServiceAccount|Role|RoleBinding)$/
    const objects = read(synthesize('narrow', { watchNamespaces: [watched.name] }))
    await space.apply(...objects.filter(({ kind }) => rights.test(kind)))
  })

  test('may do there what it has to', async () => {
    const granted = [
      ['watch', 'storageinstances.storage.sonoma.dev'],
      ['patch', 'storageinstances.storage.sonoma.dev:status'],
      ['create', 'secrets'],
      ['patch', 'deployments.apps'],
      ['delete', 'jobs.batch'],
      ['create', 'events.events.k8s.io'],
      ['list', 'events.events.k8s.io'],
    ] as const
    const answers = await Promise.all(granted.map(([verb, resource]) => may(verb, resource, watched.name)))
    expect(answers).toEqual(granted.map(() => true))
    expect(await may('create', 'leases.coordination.k8s.io', space.name)).toBe(true)
    expect(await may('update', `leases.coordination.k8s.io/${OPERATOR}`, space.name)).toBe(true)
  })

  test('may do nothing of it anywhere else, and nowhere what it does not need', async () => {
    const refused = [
      ['get', 'secrets', stranger.name],
      ['list', 'storageinstances.storage.sonoma.dev', stranger.name],
      ['get', 'secrets', space.name],
      ['update', 'leases.coordination.k8s.io/other', space.name],
      ['patch', 'storageinstances.storage.sonoma.dev', watched.name],
      ['delete', 'secrets', watched.name],
      ['delete', 'persistentvolumeclaims', watched.name],
      ['create', 'pods', watched.name],
      ['create', 'pods:exec', watched.name],
      ['create', 'rolebindings.rbac.authorization.k8s.io', watched.name],
      ['create', 'serviceaccounts:token', watched.name],
    ] as const
    const answers = await Promise.all(refused.map(([verb, what, namespace]) => may(verb, what, namespace)))
    expect(answers).toEqual(refused.map(() => false))
  })
})
