import { expect, test } from 'vitest'
import { Metrics } from '../../../app/metrics.ts'
import type { SchemaDriftState } from '../../../app/store/schema-drift.ts'
import { createTestDatabase } from '../../support/database.ts'
import { eventually } from '../../support/eventually.ts'
import { startTestService } from '../../support/service.ts'

type Health = { status: string; schema: SchemaDriftState }

async function healthWith(change: string, expected: SchemaDriftState['drift']): Promise<Health> {
  const database = await createTestDatabase()
  await database.query(change)
  const service = await startTestService({ database })
  const health = () => service.call<Health>('GET', '/health')
  await eventually(async () => expect((await health()).body.schema.drift).toBe(expected))
  const metrics = await (await fetch(service.metricsUrl)).text()
  expect(/^schema_drift (\d)$/m.exec(metrics)?.[1]).toBe(
    expected === 'unknown' ? undefined : expected === 'ok' ? '0' : '1',
  )
  return (await health()).body
}

test('a schema as it was tested is ok', async () => {
  expect((await healthWith('SELECT 1', 'ok')).schema.differences).toEqual([])
})

test('what somebody changed by hand is told in /health and the metrics, and the service goes on', async () => {
  const health = await healthWith('DROP INDEX public.documents_host_idx', 'drifted')
  expect(health.schema.differences).toEqual(['missing: index public.documents documents_host_idx'])
  expect(health.status).toBe('ok')
})

test('a schema of a newer release is not judged', async () => {
  const newer = `INSERT INTO storage.schema_history (version, name, phase, state, up_checksum, down_checksum, started_at,
    actor, tool_version) VALUES ('9999', 'newer', 'expand', 'applied', '', '', now(), '', '')`
  expect((await healthWith(newer, 'unknown')).status).toBe('ok')
})

test('the metric is absent before the first look', async () => {
  expect(await new Metrics('1').registry.metrics()).not.toMatch(/^schema_drift \d/m)
})
