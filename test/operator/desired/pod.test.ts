import { describe, expect, test } from 'vitest'
import type { KubeObject } from '../../../operator/api/object.ts'
import {
  OWNED_DATABASE_ENVIRONMENT,
  OWNED_ENVIRONMENT,
  OWNED_ENVIRONMENT_PREFIX,
  OWNED_TASK_ENVIRONMENT,
} from '../../../operator/api/owned-settings.ts'
import type { StatefulSet } from '../../../operator/plan/live-objects.ts'
import { instanceOf, type PartialSpec, World } from '../plan/world.ts'

type Container = { name: string; env?: { name: string }[]; securityContext: object; terminationMessagePolicy: string }
type Template = {
  metadata: { labels: Record<string, string>; annotations?: Record<string, string> }
  spec: { containers: Container[]; initContainers?: Container[]; [field: string]: unknown }
}

/** The pods of everything that an instance has and runs, by the component in their labels. */
function podsOf(spec: PartialSpec): Record<string, Template> {
  const world = new World(instanceOf(spec))
  const { external } = (spec.database ?? {}) as { external?: object }
  const usable = { state: 'usable' as const, version: 'v' }
  if (external) world.external = { service: usable, owner: usable, direct: usable }
  world.settle()
  if (!external) {
    world.change({
      database: { managed: { ...world.instance.spec.database?.managed, parameters: { work_mem: '8MB' } } },
    })
    world.step()
    world.step()
  }
  const owners = [...world.children, ...world.jobs] as (KubeObject & { spec?: { template?: Template } })[]
  return Object.fromEntries(
    owners.flatMap(({ spec }) => (spec?.template ? [[componentOf(spec.template), spec.template]] : [])),
  )
}

const componentOf = ({ metadata }: Template) => metadata.labels['app.kubernetes.io/component'] ?? ''
const containersOf = ({ spec }: Template) => [...(spec.initContainers ?? []), ...spec.containers]
const namesOf = (pod: Template | undefined) =>
  (pod ? containersOf(pod) : []).flatMap(({ env = [] }) => env.map(({ name }) => name))

const ADDITIONS = {
  labels: { team: 'search', 'app.kubernetes.io/component': 'mine' },
  annotations: { 'example.com/owner': 'search', 'storage.sonoma.dev/database-secret': 'mine' },
  nodeSelector: { disk: 'fast' },
  tolerations: [{ key: 'dedicated', operator: 'Exists' }],
  affinity: { nodeAffinity: {} },
  topologySpreadConstraints: [{ maxSkew: 1, topologyKey: 'zone', whenUnsatisfiable: 'ScheduleAnyway' }],
  priorityClassName: 'high',
  env: [{ name: 'HTTPS_PROXY', value: 'http://proxy' }],
}

const managed = podsOf({})
const external = podsOf({
  queues: [{ name: 'frontier' }],
  database: {
    external: Object.fromEntries(
      ['', 'owner', 'direct', 'replication'].map((one) => [
        one === '' ? 'secretRef' : `${one}SecretRef`,
        { name: `s${one}`, key: 'uri' },
      ]),
    ),
  },
})

describe('every pod', () => {
  test('is there, with the restrictions that Pod Security asks for', () => {
    expect(Object.keys(managed).sort()).toEqual(['api', 'database', 'migrate', 'provision', 'settings'])
    expect(Object.keys(external).sort()).toEqual(['api', 'migrate', 'probe'])
    for (const pod of [...Object.values(managed), ...Object.values(external)]) {
      const securityContext = { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } }
      expect(pod.spec).toMatchObject({ securityContext, enableServiceLinks: false })
      for (const container of containersOf(pod)) {
        expect(container).toMatchObject({
          securityContext: { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true },
          terminationMessagePolicy: 'FallbackToLogsOnError',
        })
      }
    }
  })

  test('has a credential of Kubernetes only where it needs one', () => {
    const mounted = Object.entries({ ...managed, ...external }).filter(
      ([, { spec }]) => spec.automountServiceAccountToken,
    )
    expect(mounted.map(([component]) => component)).toEqual(['api'])
  })
})

describe('what people add to pods', () => {
  const pods = {
    ...podsOf({
      api: { podTemplate: ADDITIONS },
      database: { managed: { podTemplate: ADDITIONS } },
      tasks: { podTemplate: ADDITIONS },
    }),
    probe: podsOf({
      tasks: { podTemplate: ADDITIONS },
      database: { external: { secretRef: { name: 's', key: 'uri' } } },
    }).probe,
  } as Record<string, Template>

  test.each(['api', 'database', 'migrate', 'settings', 'probe'])('is in those of %s', (component) => {
    const { metadata, spec } = pods[component] as Template
    const { nodeSelector, tolerations, affinity, priorityClassName } = ADDITIONS
    expect(metadata.labels).toMatchObject({ team: 'search', 'app.kubernetes.io/component': component })
    expect(metadata.annotations).toMatchObject({ 'example.com/owner': 'search' })
    const matchLabels = expect.objectContaining({ 'app.kubernetes.io/component': component })
    const spread = ADDITIONS.topologySpreadConstraints.map((one) => ({ ...one, labelSelector: { matchLabels } }))
    expect(spec).toMatchObject({ nodeSelector, tolerations, affinity, priorityClassName })
    expect(spec.topologySpreadConstraints).toEqual(spread)
    for (const { env } of containersOf(pods[component] as Template)) expect(env).toContainEqual(ADDITIONS.env[0])
  })

  test('replaces nothing of ours', () => {
    for (const component of ['api', 'database']) {
      expect(pods[component]?.metadata.annotations?.['storage.sonoma.dev/database-secret']).not.toBe('mine')
    }
  })

  test('does not reach other pods', () => {
    const others = podsOf({ tasks: { podTemplate: ADDITIONS } })
    expect(others.api?.spec).not.toHaveProperty('nodeSelector')
    expect(others.database?.spec).not.toHaveProperty('nodeSelector')
  })

  test('cannot name a variable that the operator sets', () => {
    const isOwned = (owned: readonly string[]) => (name: string) =>
      owned.includes(name) || name.startsWith(OWNED_ENVIRONMENT_PREFIX)
    const api = [...namesOf(managed.api), ...namesOf(external.api)]
    expect(api.filter((name) => !OWNED_ENVIRONMENT.some((owned) => owned === name))).toEqual([])
    const tasks = [managed.migrate, managed.settings, external.migrate, external.probe].flatMap(namesOf)
    expect(tasks.length).toBeGreaterThan(12)
    expect(tasks.filter((name) => !isOwned(OWNED_TASK_ENVIRONMENT)(name))).toEqual([])
    expect(namesOf(managed.database).filter((name) => !isOwned(OWNED_DATABASE_ENVIRONMENT)(name))).toEqual([])
  })

  test('restarts the database, and no migration is run for it', () => {
    const world = new World()
    world.settle()
    const made = [...world.made]
    const set = () => world.find<StatefulSet>('StatefulSet', 'crawl-db')
    world.change({
      database: { managed: { podTemplate: { nodeSelector: { disk: 'fast' } } } },
      tasks: { podTemplate: ADDITIONS },
    })
    world.settle()
    expect(set()?.spec?.template?.spec).toMatchObject({ nodeSelector: { disk: 'fast' } })
    expect(world.made).toEqual(made)
  })
})
