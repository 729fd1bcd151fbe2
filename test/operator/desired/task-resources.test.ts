import { expect, test } from 'vitest'
import type { ManagedDatabase } from '../../../operator/api/instance/database.ts'
import type { RunStatus } from '../../../operator/api/instance/status.ts'
import { databaseOf } from '../../../operator/api/unions.ts'
import type { Manifest } from '../../../operator/desired/child.ts'
import { migrateJob } from '../../../operator/desired/runs/migrate-job.ts'
import { probeJob } from '../../../operator/desired/runs/probe-job.ts'
import { settingsJob } from '../../../operator/desired/runs/settings-job.ts'
import { instanceOf } from '../plan/world.ts'

const run: RunStatus = {
  name: 'crawl-run',
  key: 'k',
  phase: 'Pending',
  startedAt: '2026-11-23T02:15:00Z',
  deadline: '2026-11-23T02:17:00Z',
}

type JobManifest = { spec: { template: { spec: { containers: { resources: object }[] } } } }
const resourcesOf = (job: Manifest) => (job as unknown as JobManifest).spec.template.spec.containers[0]?.resources

function jobsOf(spec: object): Manifest[] {
  const instance = instanceOf(spec)
  return [migrateJob(instance, { run, image: 'i', contracts: [] }), probeJob(instance, run, 'i')]
}

test('the pods of Jobs have the resources of the spec, and otherwise small ones', () => {
  const resources = { requests: { cpu: '100m', memory: '128Mi' }, limits: { cpu: '2', memory: '1Gi' } }
  for (const job of jobsOf({ tasks: { resources } })) expect(resourcesOf(job)).toEqual(resources)
  for (const job of jobsOf({})) expect(resourcesOf(job)).toMatchObject({ limits: { memory: '512Mi' } })
})

test('a trial of settings has the memory that PostgreSQL will have, and the CPU of the spec', () => {
  const instance = instanceOf({
    tasks: { resources: { requests: { memory: '2Gi' }, limits: { cpu: '2', memory: '4Gi' } } },
  })
  const database = databaseOf(instance.spec) as ManagedDatabase
  const job = settingsJob(instance, { run, database, image: 'i' })
  expect(resourcesOf(job)).toEqual({
    requests: { memory: '96Mi' },
    limits: { cpu: '2', memory: String(2 ** 30) },
  })
})
