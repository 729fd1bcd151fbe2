import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { APPLY_MODES, applyAs } from './kit/apply.ts'
import { custom, ensureCustomResources } from './kit/custom-resources.ts'
import { useNamespace } from './kit/namespace.ts'
import type { KubeObject } from './kit/objects.ts'
import { useNoOperator } from './kit/without-operator.ts'
import { kubectl, tryKubectl } from './kubectl.ts'
import { ROOT } from './place.ts'

useNoOperator()
const space = useNamespace('resources')
const SECRET = { secretRef: { name: 'db' } }
const DIGEST = `sha256:${'0'.repeat(64)}`

beforeAll(() => ensureCustomResources())
afterEach(() => space.kubectl('delete', 'storageinstances,storagebackups,storagerestores', '--all'))

const instance = (spec: object, name = 'crawl') => custom('StorageInstance', name, spec)
const restore = (spec: object) => custom('StorageRestore', 'back', { instanceRef: { name: 'crawl' }, ...spec })
const specOf = async (target: string) => (await space.get<KubeObject & { spec: Record<string, unknown> }>(target)).spec

/** Applies without keeping it, in either way; answers what was said against it by each, '' where it was taken. */
function refusals(object: KubeObject): Promise<string[]> {
  return Promise.all(
    APPLY_MODES.map(async (mode) => {
      const flags = [`--server-side=${mode === 'server-side'}`, '--dry-run=server', '-n', space.name, '-f', '-']
      return (await tryKubectl(['apply', ...flags], { input: JSON.stringify(object) })).stderr
    }),
  )
}

/** Changes a stored object, and answers what was said against it. */
async function change(target: string, patch: object): Promise<string> {
  const flags = ['patch', target, '-n', space.name, '--type=merge', '--dry-run=server', '-p', JSON.stringify(patch)]
  return (await tryKubectl(flags)).stderr
}

/** Writes a status as the operator would. */
function writeStatus(target: string, status: object): Promise<string> {
  return space.kubectl('patch', target, '--subresource=status', '--type=merge', '-p', JSON.stringify({ status }))
}

describe('an instance', () => {
  test('gets every default from the API server', async () => {
    await space.apply(parse(readFileSync(join(ROOT, 'docs/samples/storageinstance-minimal.yaml'), 'utf8')))
    const { spec, status } = await space.get<KubeObject & { spec: object; status: object }>('si/crawl')
    expect(status).toEqual({ observedGeneration: -1 })
    expect(spec).toEqual({
      image: { pullPolicy: 'IfNotPresent' },
      api: {
        replicas: 2,
        resources: {},
        poolSize: 20,
        queueBatchSize: 100,
        logLevel: 'info',
        auth: { mode: 'Kubernetes', allow: [] },
        networkPolicy: { enabled: true },
        podTemplate: {},
      },
      queues: [],
      migrations: {
        approveContract: [],
        lockTimeout: '200ms',
        rehearse: true,
        driftCheckInterval: '10m',
        onDrift: 'Alert',
      },
      tasks: { resources: {}, podTemplate: {} },
      backup: {
        schedule: '15 2 * * *',
        timeZone: 'Etc/UTC',
        method: 'Auto',
        walStreaming: { enabled: true, spoolSize: '2Gi' },
        retention: { window: '30d', keepLast: 3 },
        verification: { schedule: '', level: 'Content' },
        suspend: false,
      },
      maintenance: {
        window: { schedule: '0 3 * * *', duration: '2h', timeZone: 'Etc/UTC' },
        vacuum: { enabled: true },
        reindex: { enabled: true },
        documents: { rules: [], dryRun: false },
        queues: { enabled: true },
        suspend: false,
      },
      deletionPolicy: 'Retain',
      stopped: false,
      paused: false,
    })
  })

  test('gets the defaults inside a union only where its member is given', async () => {
    await space.apply(instance({ database: { managed: {} }, backup: { destination: { persistentVolumeClaim: {} } } }))
    const spec = await specOf('si/crawl')
    expect(spec.database).toEqual({
      managed: { storage: { size: '10Gi' }, resources: {}, parameters: {}, podTemplate: {} },
    })
    expect(spec.backup).toMatchObject({ destination: { persistentVolumeClaim: { size: '20Gi' } } })
  })

  test('takes the sample that holds every field', async () => {
    const sample = parse(readFileSync(join(ROOT, 'docs/samples/storageinstance-full.yaml'), 'utf8')) as KubeObject
    expect(await refusals(sample)).toEqual(['', ''])
  })
})

const LONG = 'a'.repeat(36)
const managed = (parameters: object) => ({ database: { managed: { parameters } } })
const auth = (value: object) => ({ api: { auth: value } })
const env = (...list: object[]) => ({ api: { podTemplate: { env: list } } })
const queue = (value: object) => ({ queues: [{ name: 'frontier', ...value }] })

/** What is refused with which words, and beside it what is taken. */
const REFUSED: [what: string, refused: KubeObject, words: string, taken: KubeObject][] = [
  ['a name that begins with a digit', instance({}, '1crawl'), 'must start with a letter', instance({}, 'c1')],
  ['a name with a dot', instance({}, 'a.b'), 'contain only a-z, 0-9 and -', instance({}, 'a-b')],
  ['a name of 37 characters', instance({}, `${LONG}a`), 'at most 36 characters', instance({}, LONG)],
  [
    'both members of database',
    instance({ database: { managed: {}, external: SECRET } }),
    'at most one of managed, external may be set; remove the other',
    instance({ database: { external: SECRET } }),
  ],
  [
    'both members of destination',
    instance({ backup: { destination: { persistentVolumeClaim: {}, s3: { bucket: 'abc' } } } }),
    'at most one of persistentVolumeClaim, s3 may be set; remove the other',
    instance({ backup: { destination: { s3: { bucket: 'abc' } } } }),
  ],
  [
    "a parameter of the operator's",
    instance(managed({ Listen_Addresses: '*' })),
    'parameters names a setting that the operator owns; remove it',
    instance(managed({ work_mem: '16MB', 'auto_explain.log_timing': 'off' })),
  ],
  [
    "a parameter that begins like the operator's",
    instance(managed({ ssl_ciphers: 'NULL' })),
    'parameters names a setting that the operator owns; remove it',
    instance(managed({ log_statement: 'ddl' })),
  ],
  [
    'a parameter that is no name',
    instance(managed({ 'work mem': '1' })),
    'not the name of a PostgreSQL setting',
    instance(managed({ work_mem: '1MB' })),
  ],
  [
    'a parameter of two lines',
    instance(managed({ work_mem: '1\nfsync = off' })),
    'must be one line',
    instance(managed({ work_mem: '1MB' })),
  ],
  [
    'tokens with another mode',
    instance(auth({ tokensSecretRef: { name: 'tokens' } })),
    'tokensSecretRef belongs to mode Token',
    instance(auth({ mode: 'Token', tokensSecretRef: { name: 'tokens' } })),
  ],
  [
    'mode Token without tokens',
    instance(auth({ mode: 'Token' })),
    'belongs to mode Token',
    instance(auth({ mode: 'None' })),
  ],
  [
    'an allow list with another mode',
    instance(auth({ mode: 'None', allow: [{ namespace: 'a', serviceAccount: 'b' }] })),
    'allow works with mode Kubernetes only',
    instance(auth({ allow: [{ namespace: 'a', serviceAccount: 'b' }] })),
  ],
  [
    'an autoscaler with its bounds the wrong way round',
    instance({ api: { autoscaling: { minReplicas: 3, maxReplicas: 2 } } }),
    'minReplicas must not be more than maxReplicas',
    instance({ api: { autoscaling: { minReplicas: 2, maxReplicas: 2 } } }),
  ],
  [
    "a variable of the operator's",
    instance(env({ name: 'DATABASE_URL', value: 'x' })),
    'env names a variable that the operator sets from the spec; use the field of the spec instead',
    instance(env({ name: 'STATEMENT_TIMEOUT', value: '20s' })),
  ],
  [
    'a variable with a value from two places',
    instance(env({ name: 'A', value: 'x', valueFrom: { secretKeyRef: { name: 'a', key: 'b' } } })),
    'at most one of value and valueFrom may be set; remove the other',
    instance(env({ name: 'A', valueFrom: { secretKeyRef: { name: 'a', key: 'b' } } })),
  ],
  [
    'a variable from nowhere',
    instance(env({ name: 'A', valueFrom: {} })),
    'exactly one of secretKeyRef and configMapKeyRef must be set',
    instance(env({ name: 'A', valueFrom: { configMapKeyRef: { name: 'a', key: 'b' } } })),
  ],
  [
    'a queue that is its own dead letter',
    instance(queue({ deadLetter: 'frontier' })),
    'deadLetter must be another queue',
    instance(queue({ deadLetter: 'frontier-dead' })),
  ],
  [
    'a check for drift that is too often',
    instance({ migrations: { driftCheckInterval: '9s' } }),
    'driftCheckInterval must be from 10s to 24h',
    instance({ migrations: { driftCheckInterval: '10s' } }),
  ],
  [
    'a check for drift that is too seldom',
    instance({ migrations: { driftCheckInterval: '2d' } }),
    'driftCheckInterval must be from 10s to 24h',
    instance({ migrations: { driftCheckInterval: '24h' } }),
  ],
  [
    'two targets of a restore',
    restore({ target: { latest: {}, lsn: '0/1' } }),
    'at most one of latest, time, lsn, restorePoint may be set; remove the other',
    restore({ target: { time: '2026-11-23T09:14:00Z' } }),
  ],
  [
    'two places of a restore',
    restore({ into: { instance: {}, scratch: {} } }),
    'at most one of instance, database, scratch may be set; remove the other',
    restore({ into: { scratch: {} } }),
  ],
  [
    'a name of a backup of 53 characters',
    custom('StorageBackup', 'a'.repeat(53), { instanceRef: { name: 'crawl' } }),
    'at most 52 characters',
    custom('StorageBackup', 'a'.repeat(52), { instanceRef: { name: 'crawl' } }),
  ],
]

describe('a rule', () => {
  test.each(REFUSED)('refuses %s, in both ways to apply', async (_what, refused, words, taken) => {
    expect(await refusals(refused)).toEqual([expect.stringContaining(words), expect.stringContaining(words)])
    expect(await refusals(taken)).toEqual(['', ''])
  })

  test('lets volumes grow and not shrink, from their default too', async () => {
    await space.apply(instance({}))
    const database = (size: string) => change('si/crawl', { spec: { database: { managed: { storage: { size } } } } })
    const backup = (size: string) =>
      change('si/crawl', { spec: { backup: { destination: { persistentVolumeClaim: { size } } } } })
    expect(await database('5Gi')).toContain('spec.database.managed.storage.size')
    expect(await database('5Gi')).toContain(
      'the volume cannot shrink; take at least the size that it has (10Gi where none',
    )
    expect(await backup('19999Mi')).toContain('the volume cannot shrink')
    expect(await Promise.all([database('10Gi'), database('10241Mi'), backup('20Gi')])).toEqual(['', '', ''])
    await space.apply(instance({ database: { managed: { storage: { size: '20Gi' } } } }))
    expect(await change('si/crawl', { spec: { database: null } })).toContain('the volume cannot shrink')
    expect(await change('si/crawl', { spec: { database: { managed: null, external: SECRET } } })).toBe('')
    // A wish that could not be granted may be taken back.
    await writeStatus('si/crawl', { database: { volumeSize: '15Gi' } })
    expect(await database('14Gi')).toContain('the volume cannot shrink')
    expect(await database('15Gi')).toBe('')
  })

  test('keeps a live instance on its managed database, and says what to do', async () => {
    await space.apply(instance({}))
    const patch = { spec: { database: { external: SECRET } } }
    expect(await change('si/crawl', patch)).toBe('')
    await writeStatus('si/crawl', { database: { kind: 'Managed' } })
    expect(await change('si/crawl', patch)).toContain('make a new instance with database.external, move the documents')
    expect(await change('si/crawl', { spec: { paused: true } })).toBe('')
  })

  test('refuses kubectl scale while an autoscaler owns the replicas', async () => {
    const scale = async () => (await tryKubectl(['scale', 'si/crawl', '--replicas=4', '-n', space.name])).stderr
    await space.apply(instance({ api: { autoscaling: { maxReplicas: 6 } } }))
    expect(await scale()).toContain(
      'replicas cannot be changed while autoscaling is on; change autoscaling.minReplicas',
    )
    expect(await change('si/crawl', { spec: { api: { replicas: 3, autoscaling: null } } })).toBe('')
    await space.kubectl('patch', 'si/crawl', '--type=merge', '-p', '{"spec":{"api":{"autoscaling":null}}}')
    expect(await scale()).toBe('')
    expect((await specOf('si/crawl')).api).toMatchObject({ replicas: 4 })
  })

  test('keeps the spec of a backup and of a restore as it was made', async () => {
    await space.apply(custom('StorageBackup', 'by-hand', { instanceRef: { name: 'crawl' } }), restore({}))
    expect(await change('sbk/by-hand', { spec: { method: 'Logical' } })).toContain(
      'spec cannot be changed; delete this object',
    )
    expect(await change('srs/back', { spec: { target: { latest: {} } } })).toContain(
      'spec cannot be changed; delete this object',
    )
    expect(await change('srs/back', { metadata: { labels: { a: 'b' } } })).toBe('')
  })
})

/** Values that a schema refuses, each with the path that must be named. */
const WRONG: [path: string, spec: object][] = [
  ['spec.api.poolSize', { api: { poolSize: 0 } }],
  ['spec.api.logLevel', { api: { logLevel: 'loud' } }],
  ['spec.api.auth.allow[0].access', auth({ allow: [{ namespace: 'a', serviceAccount: 'b', access: 'All' }] })],
  ['spec.api.resources.limits.memory', { api: { resources: { limits: { memory: '1 GB' } } } }],
  ['spec.backup.schedule', { backup: { schedule: 'daily' } }],
  ['spec.backup.retention.window', { backup: { retention: { window: '1 month' } } }],
  ['spec.database.managed.storage.size', { database: { managed: { storage: { size: 'big' } } } }],
  ['spec.database.external.secretRef', { database: { external: {} } }],
  ['spec.image.digest', { image: { digest: `${DIGEST}0` } }],
  ['spec.maintenance.window.duration', { maintenance: { window: { duration: 120 } } }],
  ['spec.migrations.lockTimeout', { migrations: { lockTimeout: '200' } }],
  ['spec.migrations.approveContract[0]', { migrations: { approveContract: ['7'] } }],
  ['spec.queues[0].name', { queues: [{ name: '__own' }] }],
]

/** Names that nobody knows, each with what must be named. */
const UNKNOWN: [name: string, spec: object][] = [
  ['replica', { api: { replica: 3 } }],
  ['manged', { database: { manged: {} } }],
  ['claims', { api: { resources: { claims: [] } } }],
  ['delaySecond', { queues: [{ name: 'frontier', politeness: { delaySecond: 1 } }] }],
]

describe('a typing error', () => {
  test.each(UNKNOWN)('in a name is refused with it: %s', async (name, spec) => {
    expect(await refusals(instance(spec))).toEqual([
      expect.stringMatching(new RegExp(`unknown field "spec[^"]*\\.${name}"`)),
      expect.stringMatching(new RegExp(`\\.${name}: field not declared in schema`)),
    ])
  })

  test.each(WRONG)('in a value is refused with its path: %s', async (path, spec) => {
    expect(await refusals(instance(spec))).toEqual([expect.stringContaining(path), expect.stringContaining(path)])
  })

  test('in a key that may be there once is refused', async () => {
    const duplicate = expect.stringMatching(/[Dd]uplicate/)
    expect(await refusals(instance({ queues: [{ name: 'a' }, { name: 'a' }] }))).toEqual([duplicate, duplicate])
  })
})

type Switch = { target: string; pick: (spec: Record<string, unknown>) => unknown; from: KubeObject; to: KubeObject }
const SWITCHES: Record<string, Switch> = {
  database: {
    target: 'si/crawl',
    pick: ({ database }) => database,
    from: instance({ database: { managed: {} } }),
    to: instance({ database: { external: SECRET } }),
  },
  'backup.destination': {
    target: 'si/crawl',
    pick: ({ backup }) => (backup as { destination?: object }).destination,
    from: instance({ backup: { destination: { persistentVolumeClaim: {} } } }),
    to: instance({ backup: { destination: { s3: { bucket: 'abc' } } } }),
  },
}

describe('a union', () => {
  for (const mode of APPLY_MODES) {
    test.each(Object.entries(SWITCHES))(`is switched both ways by ${mode} apply: %s`, async (_name, union) => {
      const { target, pick, from, to } = union
      const chosen: string[][] = []
      for (const object of [from, to, from, instance({}), to]) {
        expect((await applyAs(mode, space.name, object)).stderr).toBe('')
        chosen.push(Object.keys(pick(await specOf(target)) ?? {}))
      }
      const [first = '', second = ''] = [chosen[0]?.[0], chosen[1]?.[0]]
      expect(chosen).toEqual([[first], [second], [first], [], [second]])
      expect(first).not.toBe(second)
    })
  }

  // The spec of a restore never changes, so each choice is an object of its own.
  test.each(APPLY_MODES)('of a restore takes each of its members by %s apply', async (mode) => {
    const targets = [{ latest: {} }, { time: '2026-11-23T09:14:00Z' }, { lsn: '0/3000060' }, { restorePoint: 'before' }]
    const places = [{ instance: {} }, { database: SECRET }, { scratch: {} }]
    for (const spec of [...targets.map((target) => ({ target })), ...places.map((into) => ({ into }))]) {
      expect((await applyAs(mode, space.name, restore(spec))).stderr).toBe('')
      expect(await specOf('srs/back')).toMatchObject(spec)
      await space.kubectl('delete', 'srs/back')
    }
  })
})

const NOW = new Date().toISOString()
const condition = { type: 'Ready', status: 'True', reason: 'Ready', message: 'Serving.', lastTransitionTime: NOW }

describe('kubectl', () => {
  test('shows an instance in its columns, and more of them with -o wide', async () => {
    await space.apply(instance({}))
    await writeStatus('si/crawl', {
      phase: 'Ready',
      conditions: [condition],
      schema: { version: '0004' },
      api: { ready: '2/2' },
      database: { kind: 'Managed' },
      backup: { lastSuccess: NOW, lastVerified: NOW, nextScheduled: '2026-11-26T02:15:00Z' },
    })
    const [head = '', row = ''] = (await space.kubectl('get', 'si')).split('\n')
    expect(head.split(/\s{2,}/).filter(Boolean)).toEqual([
      'NAME',
      'READY',
      'SCHEMA',
      'API',
      'LAST BACKUP',
      'VERIFIED',
      'AGE',
    ])
    expect(row).toMatch(/^crawl +True +0004 +2\/2 +\d+s +\d+s +\d+s$/)
    const [wide = '', wideRow = ''] = (await space.kubectl('get', 'si', '-o', 'wide')).split('\n')
    expect(wide.trim()).toMatch(/AGE +DATABASE +NEXT BACKUP +PHASE$/)
    expect(wideRow.trim()).toMatch(/Managed +2026-11-26T02:15:00Z +Ready$/)
  })

  test('shows backups and restores in their columns, and all three in the category storage', async () => {
    await space.apply(instance({}), custom('StorageBackup', 'nightly', { instanceRef: { name: 'crawl' } }), restore({}))
    await writeStatus('sbk/nightly', { method: 'Logical', phase: 'Succeeded', size: '12Mi' })
    await writeStatus('srs/back', { target: 'latest', phase: 'Running', seconds: { ready: 42 } })
    const [backups, restores] = await Promise.all([space.kubectl('get', 'sbk'), space.kubectl('get', 'srs')])
    expect(backups).toMatch(
      /NAME +INSTANCE +METHOD +PHASE +SIZE +VERIFIED +RESTORE +AGE\nnightly +crawl +Logical +Succeeded +12Mi/,
    )
    expect(restores).toMatch(
      /NAME +INSTANCE +TARGET +PHASE +RECOVERED TO +SECONDS +AGE\nback +crawl +latest +Running +42 /,
    )
    const all = await space.kubectl('get', 'storage', '-o', 'name')
    expect(all.match(/\/(crawl|nightly|back)$/gm)).toHaveLength(3)
  })

  test('explains each field, with its default and what is allowed', async () => {
    const explained = await kubectl(['explain', 'storageinstance.spec.api.poolSize'])
    expect(explained).toMatch(
      /FIELD: poolSize <integer>[\s\S]*Maximum\s+number\s+of\s+database\s+connections\s+per\s+pod[\s\S]*Default\s+20\./,
    )
    const whole = await kubectl(['explain', 'si', '--recursive'])
    expect(whole).toMatch(/targetCPUUtilizationPercentage\s+<integer>/)
    expect(await kubectl(['explain', 'srs.spec.into'])).toMatch(
      /scratch\s+<Object>\s+Not\s+implemented\s+yet\.\s+Restores\s+into\s+a\s+temporary\s+database/,
    )
    expect(await kubectl(['explain', 'si.spec.api.logLevel'])).toMatch(/ENUM:\s+off\s+error\s+warn\s+info/)
  })

  test('scales an instance, and reads its replicas and selector', async () => {
    await space.apply(instance({}))
    await writeStatus('si/crawl', { api: { replicas: 2, selector: 'app=crawl' } })
    await space.kubectl('scale', 'si/crawl', '--replicas=5')
    const path = `/apis/storage.sonoma.dev/v1alpha1/namespaces/${space.name}/storageinstances/crawl/scale`
    const scale = JSON.parse(await kubectl(['get', '--raw', path])) as { spec: object; status: object }
    expect(scale).toMatchObject({ spec: { replicas: 5 }, status: { replicas: 2, selector: 'app=crawl' } })
  })

  test('keeps status and spec apart', async () => {
    await space.apply({ ...instance({}), status: { phase: 'Ready' } })
    expect(await space.get('si/crawl')).toMatchObject({
      status: { observedGeneration: -1 },
      metadata: { generation: 1 },
    })
    await writeStatus('si/crawl', { phase: 'Ready', observedGeneration: 1 })
    expect(await space.get('si/crawl')).toMatchObject({ status: { phase: 'Ready' }, metadata: { generation: 1 } })
  })
})
