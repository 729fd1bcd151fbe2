import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import * as app from '../../../app/contract.ts'
import type { ManagedDatabase } from '../../../operator/api/instance/database.ts'
import { OWNED_PARAMETERS } from '../../../operator/api/owned-settings.ts'
import { refusedParameters } from '../../../operator/desired/database/parameters.ts'
import { PG_HBA, postgresqlConf } from '../../../operator/desired/database/settings.ts'
import { RESERVED_CONNECTIONS, tune } from '../../../operator/desired/database/tuning.ts'
import { imageOf, versionOf } from '../../../operator/desired/image.ts'
import { settingsJob } from '../../../operator/desired/runs/settings-job.ts'
import * as contract from '../../../operator/service-contract.ts'
import { instanceOf } from '../plan/world.ts'

const GIB = 2 ** 30
const megabytes = (text: string | undefined) => Number(/^(\d+)MB$/.exec(text ?? '')?.[1])

describe('the trial of settings', () => {
  const run = { name: 'crawl-settings-1', startedAt: '2026-01-01T00:00:00Z', deadline: '2026-01-01T00:02:00Z' }
  const containerOf = (managed: object) => {
    const instance = instanceOf({ database: { managed } })
    const database = instance.spec.database?.managed as ManagedDatabase
    const all = { run: { ...run, key: 'k', phase: 'Pending' as const }, database, image: 'postgres' }
    const { spec } = settingsJob(instance, all) as unknown as {
      spec: { template: { spec: { containers: unknown[] } } }
    }
    return spec.template.spec.containers[0]
  }

  test('has the memory that the server will have, and asks for no more than a task', () => {
    expect(containerOf({ resources: { limits: { memory: '3Gi' } } })).toMatchObject({
      image: 'postgres',
      command: ['node', '/srv/operator/tasks/settings.js'],
      resources: { requests: { memory: '96Mi' }, limits: { memory: String(3 * GIB) } },
    })
  })

  test('is told the settings as they are: Kubernetes makes one dollar of two', () => {
    const parameters = { log_line_prefix: '$(HOME) $$ ' }
    const [conf] = (containerOf({ parameters }) as { env: { value: string }[] }).env
    expect(conf?.value.replaceAll('$$', '$')).toContain("log_line_prefix = '$(HOME) $$ '")
    expect(conf?.value).toContain('$$(HOME) $$$$ ')
  })
})

describe('tuning', () => {
  test('a gibibyte: a quarter for shared buffers, 100 connections', () => {
    expect(tune({ memoryBytes: GIB, volumeBytes: 10 * GIB, poolConnections: 60 })).toMatchObject({
      max_connections: '100',
      shared_buffers: '256MB',
      effective_cache_size: '768MB',
      work_mem: '2MB',
    })
  })

  test('whatever there is: the buffers fit, one sort of each connection fits, and every pool finds its connections', () => {
    const inputs = fc.record({
      memoryBytes: fc.integer({ min: 2 ** 28, max: 2 ** 40 }),
      volumeBytes: fc.integer({ min: 2 ** 28, max: 2 ** 44 }),
      poolConnections: fc.integer({ min: 0, max: 5_000 }),
    })
    fc.assert(
      fc.property(inputs, (input) => {
        const settings = tune(input)
        const connections = Number(settings.max_connections)
        expect(connections).toBeGreaterThanOrEqual(input.poolConnections + RESERVED_CONNECTIONS)
        expect(connections % 100).toBe(0)
        const memory = input.memoryBytes / 2 ** 20
        expect(megabytes(settings.shared_buffers)).toBeLessThanOrEqual(memory / 4)
        // A megabyte is the least that helps at all, however many connections there are.
        const sorts = megabytes(settings.work_mem) * connections
        expect(sorts).toBeLessThanOrEqual(Math.max(memory / 4, connections))
        const volume = input.volumeBytes / 2 ** 20
        expect(megabytes(settings.max_wal_size)).toBeLessThanOrEqual(Math.max(64, volume / 8))
        // Whatever becomes of a receiver, it does not fill the volume.
        const kept = megabytes(settings.max_slot_wal_keep_size)
        expect(kept).toBeGreaterThanOrEqual(64)
        expect(kept).toBeLessThanOrEqual(Math.max(64, volume / 4))
      }),
    )
  })
})

describe('postgresql.conf', () => {
  const input = { memoryBytes: GIB, volumeBytes: 10 * GIB, poolConnections: 60 }
  const last = (conf: string, name: string) => conf.split('\n').findLast((line) => line.startsWith(`${name} = `))

  test('takes parameters over what is tuned, and nothing over what the operator insists on', () => {
    const conf = postgresqlConf(input, { work_mem: '16MB', ssl: 'off', log_line_prefix: "it's %m" })
    expect(last(conf, 'work_mem')).toBe("work_mem = '16MB'")
    expect(last(conf, 'ssl')).toBe("ssl = 'on'")
    expect(last(conf, 'log_line_prefix')).toBe("log_line_prefix = 'it''s %m'")
  })

  test('refuses what the operator owns by name, in any case of letters, and what would lead around it', () => {
    for (const name of [...OWNED_PARAMETERS, 'SSL', 'include', 'ssl_ciphers', 'recovery_target']) {
      expect(refusedParameters({ [name]: 'x' })).toEqual([`"${name}" is set by the operator itself`])
    }
    expect(refusedParameters({ 'a b': '1' })[0]).toContain('is not the name of a setting')
    expect(refusedParameters({ work_mem: "1\nssl = 'off'" })[0]).toContain('line break')
    expect(refusedParameters({ work_mem: '16MB', 'auto_explain.log_min_duration': '1s' })).toEqual([])
  })
})

describe('pg_hba.conf', () => {
  const rules = PG_HBA.trim()
    .split('\n')
    .map((line) => line.split(/\s+/))
  /** The first rule that fits, as PostgreSQL looks for it; `all` databases are not those of replication. */
  const method = (type: string, database: string, user: string) =>
    rules
      .find(
        ([of, databases, users]) =>
          of === type &&
          (databases === database || (databases === 'all' && database !== 'replication')) &&
          (users === 'all' || users === user),
      )
      ?.at(-1)

  test.each([
    ['local', 'storage', 'postgres', 'peer'],
    ['local', 'storage', 'storage_owner', 'scram-sha-256'],
    ['local', 'replication', 'storage_backup', undefined],
    ['hostssl', 'storage', 'postgres', 'reject'],
    ['hostssl', 'storage', 'storage_owner', 'scram-sha-256'],
    ['hostssl', 'storage', 'storage_backup', 'scram-sha-256'],
    ['hostssl', 'replication', 'storage_backup', 'scram-sha-256'],
    ['hostssl', 'replication', 'storage_owner', undefined],
    ['hostssl', 'replication', 'postgres', undefined],
    ['host', 'storage', 'storage_owner', undefined],
  ])('%s to %s as %s: %s', (type, database, user, expected) => expect(method(type, database, user)).toBe(expected))
})

describe('the image', () => {
  const digest = `sha256:${'a'.repeat(64)}`

  test.each([
    [{}, 'registry:5000/sonoma:1'],
    [{ tag: '2' }, 'registry:5000/sonoma:2'],
    [{ repository: 'mirror/sonoma' }, 'mirror/sonoma:1'],
    [{ repository: 'mirror/sonoma', tag: '2', digest }, `mirror/sonoma@${digest}`],
  ])('%j is %s', (image, expected) => {
    expect(imageOf({ pullPolicy: 'IfNotPresent', ...image }, 'registry:5000/sonoma:1')).toBe(expected)
  })

  test('tells its version where that can be a label', () => {
    expect(versionOf('registry:5000/sonoma:1.2')).toBe('1.2')
    expect(versionOf('registry:5000/sonoma')).toBeUndefined()
    expect(versionOf(`sonoma@${digest}`)).toBeUndefined()
  })
})

test('the ports that the operator relies on are those of the service', () => {
  expect(contract).toMatchObject({ HTTP_PORT: app.HTTP_PORT, METRICS_PORT: app.METRICS_PORT })
})
