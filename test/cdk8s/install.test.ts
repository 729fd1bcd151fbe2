import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { manifestsApp } from '../../cdk8s/app.ts'
import {
  ENDPOINTS_RULES,
  IDENTITY_RULES,
  INSTANCE_RULES,
  OWN_NAMESPACE_RULES,
  type PolicyRule,
} from '../../cdk8s/constructs/permissions.ts'
import { type InstallOptions, readCommand } from '../../cdk8s/options.ts'
import { GROUP, labelsOf } from '../../operator/api/labels.ts'
import type { KubeObject } from '../../operator/api/object.ts'
import { VARIABLES } from '../../operator/process/config-variables.ts'

const folder = mkdtempSync(join(tmpdir(), 'manifests-'))
afterAll(() => rmSync(folder, { recursive: true }))

type Object = KubeObject & { spec?: Record<string, unknown>; rules?: PolicyRule[] }
type Deployment = { spec: { replicas: number; template: { spec: { containers: { env: { name: string }[] }[] } } } }

function synthesize(name: string, options: Partial<InstallOptions> = {}): Record<string, Object[]> {
  const out = join(folder, name)
  manifestsApp({ ...readCommand([], {}).install, ...options }, out).synth()
  return Object.fromEntries(readdirSync(out).map((file) => [file, read(join(out, file))]))
}

function read(file: string): Object[] {
  return parseAllDocuments(readFileSync(file, 'utf8')).map((document) => document.toJS() as Object)
}

function ofKind(objects: Object[] = [], kind: string): Object[] {
  return objects.filter((object) => object.kind === kind)
}

const written = synthesize('all')
const installed = written['install.yaml'] ?? []

describe('install.yaml', () => {
  test('pulls the image of the operator with the Secrets that were asked for', () => {
    const podOf = (objects: Object[] = []) =>
      (ofKind(objects, 'Deployment')[0] as unknown as { spec: { template: { spec: object } } }).spec.template.spec
    const { 'install.yaml': withSecrets } = synthesize('private', { pullSecrets: ['registry', 'mirror'] })
    expect(podOf(withSecrets)).toMatchObject({ imagePullSecrets: [{ name: 'registry' }, { name: 'mirror' }] })
    expect(podOf(installed)).not.toHaveProperty('imagePullSecrets')
  })

  test('is the same, byte for byte, however often it is made', () => {
    synthesize('again')
    for (const file of ['install.yaml', 'monitoring.yaml']) {
      expect(readFileSync(join(folder, 'again', file), 'utf8')).toBe(readFileSync(join(folder, 'all', file), 'utf8'))
    }
  })

  test('holds the whole installation, the namespace before what is in it', () => {
    expect(installed.map(({ kind }) => kind)).toEqual([
      'CustomResourceDefinition',
      'CustomResourceDefinition',
      'CustomResourceDefinition',
      'Namespace',
      'ServiceAccount',
      'Role',
      'RoleBinding',
      'ClusterRole',
      'ClusterRoleBinding',
      'Deployment',
      'Service',
      'PodDisruptionBudget',
      'NetworkPolicy',
    ])
  })

  test('names neither a registry nor a moving tag', () => {
    const text = readFileSync(join(folder, 'all', 'install.yaml'), 'utf8')
    const images = [...text.matchAll(/image: (.*)/g)].map((match) => match[1])
    expect(images).toEqual([readCommand([], {}).install.image])
    expect(text).not.toMatch(/:latest/)
  })

  test('runs two replicas, set by variables that the operator knows', () => {
    const [deployment] = ofKind(installed, 'Deployment') as unknown as Deployment[]
    expect(deployment?.spec.replicas).toBe(2)
    const names = deployment?.spec.template.spec.containers[0]?.env.map(({ name }) => name) ?? []
    expect(names).toEqual(['POD_NAME', 'POD_NAMESPACE', 'SERVICE_IMAGE', 'POSTGRES_IMAGE'])
    expect([...names, 'WATCH_NAMESPACES', 'MAX_CONCURRENT_ROLLOUTS'].filter((name) => !(name in VARIABLES))).toEqual([])
  })

  test('limits how many instances a new release changes at a time, where that is said', () => {
    const { 'install.yaml': limited } = synthesize('limited', { maxConcurrentRollouts: '3' })
    expect(JSON.stringify(ofKind(limited, 'Deployment'))).toContain('"name":"MAX_CONCURRENT_ROLLOUTS","value":"3"')
  })
})

describe('the rights of the operator', () => {
  const rules = [...INSTANCE_RULES, ...IDENTITY_RULES, ...ENDPOINTS_RULES, ...OWN_NAMESPACE_RULES]
  const verbsOn = (group: string, plural: string) =>
    rules
      .filter(({ apiGroups, resources }) => apiGroups.includes(group) && resources.includes(plural))
      .flatMap(({ verbs }) => verbs)

  test('name each verb and resource, and give no way to other rights', () => {
    const named = rules.flatMap(({ apiGroups, resources, verbs }) => [...apiGroups, ...resources, ...verbs])
    expect(named).not.toContain('*')
    const dangerous =
      /^(escalate|bind|impersonate|deletecollection|pods\/(exec|attach|portforward)|roles|rolebindings|nodes)$/
    expect(named.filter((name) => dangerous.test(name))).toEqual([])
  })

  test('let nobody but people write a spec', () => {
    expect(verbsOn(GROUP, 'storageinstances').toSorted()).toEqual(['list', 'watch'])
    expect(verbsOn(GROUP, 'storageinstances/status')).toEqual(['patch'])
  })

  test('are Roles alone where namespaces are named', () => {
    const narrow = synthesize('narrow', { watchNamespaces: ['search', 'crawl'] })['install.yaml'] ?? []
    expect(ofKind(narrow, 'ClusterRole')).toEqual([])
    expect(ofKind(narrow, 'ClusterRoleBinding')).toEqual([])
    const roles = ofKind(narrow, 'Role').map(({ metadata }) => `${metadata.namespace}/${metadata.name}`)
    expect(roles).toEqual([
      'sonoma-storage/sonoma-storage-operator-lease',
      'kube-system/sonoma-storage-operator-identity',
      'default/sonoma-storage-operator-endpoints',
      'search/sonoma-storage-operator-instances',
      'crawl/sonoma-storage-operator-instances',
    ])
    expect(ofKind(narrow, 'Role')[3]?.rules).toEqual(INSTANCE_RULES)
    expect(JSON.stringify(ofKind(narrow, 'Deployment'))).toContain('"name":"WATCH_NAMESPACES","value":"search,crawl"')
  })
})

describe('monitoring.yaml', () => {
  test('finds the operator and the metrics of every instance, across namespaces', () => {
    const monitors = ofKind(written['monitoring.yaml'], 'ServiceMonitor')
    expect(monitors.map(({ metadata }) => metadata.name)).toEqual([
      'sonoma-storage-operator',
      'sonoma-storage-instances',
    ])
    const [operator, instances] = monitors.map(({ spec }) => spec as { selector: { matchLabels: object } })
    expect(ofKind(installed, 'Service')[0]?.metadata.labels).toMatchObject(operator?.selector.matchLabels ?? {})
    expect(labelsOf('crawl', 'metrics')).toMatchObject(instances?.selector.matchLabels ?? {})
    expect(instances).toMatchObject({ namespaceSelector: { any: true } })
  })
})
