import { describe, expect, test } from 'vitest'
import { LABELS } from '../../../operator/api/labels.ts'
import { PROVISIONING_VERSION } from '../../../operator/api/provisions.ts'
import { migrationKey } from '../../../operator/plan/database/schema.ts'
import type { Job, StatefulSet } from '../../../operator/plan/live-objects.ts'
import { World } from './world.ts'

const REPORT = { code: 'ok', provisioning: PROVISIONING_VERSION, replication: 'allowed', mayMonitor: true }
const isProvision = ({ metadata }: Job) => metadata.labels?.[LABELS.component] === 'provision'
const provisions = (world: World) => world.jobs.filter(isProvision)
const kinds = (world: World) => world.made.map((name) => name.split('-')[1])

/** Lets everything happen but what provisioning does. */
function serve(world: World): void {
  const under = provisions(world).filter(({ status }) => status?.conditions === undefined)
  const others = world.jobs.filter((job) => !under.includes(job))
  const all = world.jobs
  world.jobs = others
  world.flourish()
  world.jobs = all
}

function endProvision(world: World, report: { code: string; [figure: string]: unknown } = REPORT): void {
  for (const { metadata } of provisions(world)) world.endJob(metadata.name, report)
}

function newWorld(): World {
  const world = new World()
  world.isProvisioning = true
  return world
}

/** An instance that is ready, as a release without provisioning left it; its database has been restarted if `isStarted`. */
function formerWorld({ isStarted = true } = {}): World {
  const world = new World()
  world.settle()
  world.isProvisioning = true
  const { runs, database, ...status } = world.instance.status ?? { observedGeneration: 1 }
  const { provisioning: _version, capabilities: _list, ...known } = database ?? {}
  world.instance.status = {
    ...status,
    database: known,
    runs: { migrate: runs?.migrate },
  } as typeof world.instance.status
  world.children = world.children.filter(({ metadata }) => metadata.name !== 'crawl-db-backup')
  world.jobs = world.jobs.filter((job) => !isProvision(job))
  const { migrate } = world.instance.status?.runs ?? {}
  if (migrate) migrate.key = migrationKey(world.observed())
  if (!isStarted) world.release = { ...world.release, postgresImage: 'sonoma-storage-postgres:2' }
  return world
}

function envOf(world: World, name: string): { name: string; value?: string; valueFrom?: object }[] {
  const job = world.jobs.find(({ metadata }) => metadata.name === name) as unknown as {
    spec: { template: { spec: { containers: { env: { name: string }[] }[] } } }
  }
  return job.spec.template.spec.containers[0]?.env ?? []
}

describe('provisioning', () => {
  test('of a new database comes before its first migration, which is told of the backup role', () => {
    const world = newWorld()
    world.settle(() => serve(world))
    expect(kinds(world)).toEqual(['provision'])
    expect(world.condition('Ready')).toMatchObject({ status: 'False', reason: 'ProvisioningRunning' })
    endProvision(world)
    world.settle()
    expect(kinds(world)).toEqual(['provision', 'migrate'])
    expect(envOf(world, world.made[1] ?? '')).toContainEqual({ name: 'BACKUP_ROLE', value: 'storage_backup' })
    expect(world.instance.status?.database).toMatchObject({
      provisioning: PROVISIONING_VERSION,
      capabilities: ['listen', 'monitor', 'replication'],
    })
    expect(world.condition('Ready')).toMatchObject({ status: 'True' })
  })

  test('is given the Secret of the backup role, and nothing else is', () => {
    const world = newWorld()
    world.settle(() => serve(world))
    const from = (key: string) => ({ valueFrom: { secretKeyRef: { name: 'crawl-db-backup', key } } })
    expect(envOf(world, world.made[0] ?? '')).toMatchObject([
      { name: 'DATABASE_URL' },
      { name: 'REPLICATION_URL', ...from('uri') },
      { name: 'BACKUP_ROLE_PASSWORD', ...from('password') },
    ])
    endProvision(world)
    world.settle()
    const others = [...world.children, ...world.jobs.filter((job) => !isProvision(job))]
    expect(
      others.filter(({ kind }) => kind !== 'Secret').some((one) => /crawl-db-backup/.test(JSON.stringify(one))),
    ).toBe(false)
  })

  test('brings a database of an earlier release forward, and then a migration gives the grants', () => {
    const world = formerWorld()
    const before = world.made.length
    world.settle(() => serve(world))
    expect(kinds(world).slice(before)).toEqual(['provision'])
    expect(world.condition('ApiAvailable')).toMatchObject({ status: 'True' })
    endProvision(world)
    world.settle()
    expect(kinds(world).slice(before)).toEqual(['provision', 'migrate'])
    expect(world.condition('Ready')).toMatchObject({ status: 'True' })
  })

  test('waits for the restart that it needs, which waits for the window, and keeps nothing from going on', () => {
    const world = formerWorld({ isStarted: false })
    const before = world.made.length
    world.window = { state: 'closed', opensAt: new Date('2026-11-24T02:15:00Z') }
    world.settle()
    expect(kinds(world).slice(before)).toEqual([])
    world.change({ image: { tag: '2' } })
    world.settle()
    expect(kinds(world).slice(before)).toEqual(['migrate'])
    expect(envOf(world, world.made.at(-1) ?? '').map(({ name }) => name)).not.toContain('BACKUP_ROLE')
    world.window = { state: 'open' }
    world.settle(() => serve(world))
    expect(kinds(world).slice(before)).toEqual(['migrate', 'provision'])
    expect(JSON.stringify(world.find('StatefulSet', 'crawl-db'))).toContain('sonoma-storage-postgres:2')
    endProvision(world)
    world.settle()
    expect(world.condition('Ready')).toMatchObject({ status: 'True' })
  })

  test('does not begin while other instances are being changed, and is such a change', () => {
    const world = formerWorld()
    world.rollout = 'held'
    const before = world.made.length
    world.settle()
    expect(world.made).toHaveLength(before)
    expect(world.find('Secret', 'crawl-db-backup')).toBeUndefined()
    expect(world.condition('Ready')).toMatchObject({ status: 'True', reason: 'RolloutPending' })
  })

  test.each([
    ['unreachable', 'False'],
    ['foreign_role', 'True'],
    ['failed', 'True'],
  ])(
    'that fails (%s) is told with its reason, and retried; no migration runs and the pods keep serving',
    (code, stalled) => {
      const world = formerWorld()
      const before = world.made.length
      world.settle(() => serve(world))
      endProvision(world, { code, error: 'the reason' })
      world.step()
      expect(world.condition('Ready')).toMatchObject({ status: 'False', reason: 'ProvisioningFailed' })
      expect(world.condition('Ready')?.message).toContain('the reason. ')
      expect(world.condition('Stalled')).toMatchObject({ status: stalled })
      expect(world.condition('ApiAvailable')).toMatchObject({ status: 'True' })
      expect(kinds(world).slice(before)).toEqual(['provision'])
      world.pass(code === 'failed' ? 600 : 5)
      world.settle(() => serve(world))
      expect(kinds(world).slice(before)).toEqual(['provision', 'provision'])
      endProvision(world)
      world.settle()
      expect(world.condition('Ready')).toMatchObject({ status: 'True' })
    },
  )

  test('follows a Secret that was deleted: another one, and a run that gives its password', () => {
    const world = newWorld()
    world.settle(() => {
      serve(world)
      endProvision(world)
    })
    const before = world.made.length
    world.children = world.children.filter(({ metadata }) => metadata.name !== 'crawl-db-backup')
    world.settle(() => {
      serve(world)
      endProvision(world)
    })
    expect(kinds(world).slice(before)).toEqual(['provision'])
    expect(world.condition('Ready')).toMatchObject({ status: 'True' })
  })

  test('leaves a Secret of somebody else alone, and says so', () => {
    const world = formerWorld()
    const before = world.made.length
    const theirs = { name: 'crawl-db-backup', namespace: 'search', uid: 'theirs' }
    world.children.push({ apiVersion: 'v1', kind: 'Secret', metadata: theirs })
    world.settle()
    expect(world.condition('Ready')).toMatchObject({ status: 'False', reason: 'ForeignObject' })
    expect(world.condition('ApiAvailable')).toMatchObject({ status: 'True' })
    expect(world.made).toHaveLength(before)
    expect(world.find('Secret', 'crawl-db-backup')?.metadata).toEqual(theirs)
  })

  test('is not cut off by a restart, and gives its turn back where its database went away before it began', () => {
    const world = formerWorld()
    world.step()
    world.record()
    expect(world.instance.status?.runs?.provision).toMatchObject({ phase: 'Pending' })
    const set = world.find<StatefulSet>('StatefulSet', 'crawl-db')
    if (set?.status) set.status = { ...set.status, readyReplicas: 0 }
    world.step()
    expect(world.instance.status?.runs?.provision).toMatchObject({ phase: 'Failed' })
    world.settle(() => serve(world))
    const template = JSON.stringify(set)
    world.secretTurns += 1
    world.settle(() => serve(world))
    expect(JSON.stringify(set)).toBe(template)
    expect(world.condition('Ready')?.message).toContain('its credentials change')
    endProvision(world)
    world.settle()
    expect(JSON.stringify(set)).not.toBe(template)
  })
})
