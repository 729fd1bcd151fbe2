import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { StorageInstance } from '../../../operator/api/storage-instance.ts'
import { INSTANCE_METRICS, MOST_REPORTED } from '../../../operator/process/instance-metrics.ts'
import { Metrics } from '../../../operator/process/metrics.ts'
import { instanceOf } from '../plan/world.ts'

const SOURCES = {
  queue: { depth: 0, workingSeconds: () => [] },
  workers: { active: 0 },
  maxWorkers: 10,
  isLeader: () => true,
  cached: () => [],
}
const RUN = {
  name: 'crawl-migrate-x',
  key: 'x',
  startedAt: '2026-11-23T02:15:00Z',
  deadline: '2026-11-23T08:15:00Z',
  finishedAt: '2026-11-23T02:16:30Z',
}

function named(name: string, status?: object): StorageInstance {
  return { ...instanceOf({}, { name, namespace: 'search' }), status } as StorageInstance
}

/** The lines of a scrape that are about instances. */
async function scrape(instances: () => StorageInstance[], isLeader = () => true): Promise<string[]> {
  const metrics = new Metrics('1')
  metrics.watch({ ...SOURCES, isLeader, instances })
  return linesOf(await metrics.text())
}

const linesOf = (text: string) => text.split('\n').filter((line) => line.startsWith('storage_instance'))

describe('the metrics of instances', () => {
  const conditions = [{ type: 'Ready', status: 'False', reason: 'MigrationFailed', message: 'It failed.' }]
  const crawl = named('crawl', {
    conditions,
    database: { kind: 'Managed', version: '17.10' },
    schema: { version: '0004' },
    api: { image: 'sonoma-storage:1' },
    runs: { migrate: { ...RUN, phase: 'Failed' }, probe: { ...RUN, phase: 'Running', finishedAt: undefined } },
  })

  test('tell the conditions, what it is made of, and how its runs ended', async () => {
    const at = 'namespace="search",name="crawl"'
    expect(await scrape(() => [crawl])).toEqual([
      'storage_instances 1',
      'storage_instances_unreported 0',
      `storage_instance_condition{${at},type="Ready",status="True"} 0`,
      `storage_instance_condition{${at},type="Ready",status="False"} 1`,
      `storage_instance_condition{${at},type="Ready",status="Unknown"} 0`,
      `storage_instance_info{${at},database="Managed",postgres="17.10",schema="0004",image="sonoma-storage:1",stopped="false"} 1`,
      `storage_instance_run_duration_seconds{${at},kind="migrate",result="Failed"} 90`,
    ])
  })

  test('tell those that are stopped from those that do not work', async () => {
    const { spec } = instanceOf({ stopped: true })
    expect((await scrape(() => [{ ...crawl, spec }])).join()).toContain('image="sonoma-storage:1",stopped="true"} 1')
  })

  test('are told with whatever a label holds', async () => {
    const odd = named('crawl', { schema: { version: 'a"b\\c\nd' } })
    expect((await scrape(() => [odd])).at(-1)).toContain(String.raw`schema="a\"b\\c\nd"`)
  })

  test('that cannot be had leave the others in the scrape', async () => {
    const metrics = new Metrics('1')
    const broken = () => {
      throw new Error('broken')
    }
    metrics.watch({ ...SOURCES, instances: broken })
    expect(await metrics.text()).toContain('leader_election_master_status{')
  })

  test('are there before the first status, and gone with the instance and the lead', async () => {
    let instances = [named('crawl')]
    let isLeader = true
    const metrics = new Metrics('1')
    metrics.watch({ ...SOURCES, isLeader: () => isLeader, instances: () => instances })
    const told = async () => linesOf(await metrics.text()).filter((line) => line.includes('"crawl"'))
    expect(await told()).toHaveLength(1)
    isLeader = false
    expect(await told()).toEqual([])
    isLeader = true
    expect(await told()).toHaveLength(1)
    instances = []
    expect(await told()).toEqual([])
  })

  test('are those of so many instances, always the same ones; how many are left out is said', async () => {
    const many = Array.from({ length: MOST_REPORTED + 3 }, (_, i) => named(`crawl-${String(i).padStart(5, '0')}`))
    const lines = await scrape(() => many.toReversed())
    expect(lines.filter((line) => line.startsWith('storage_instance_info'))).toHaveLength(MOST_REPORTED)
    expect(lines.some((line) => line.includes('"crawl-00000"'))).toBe(true)
    expect(lines.slice(0, 2)).toEqual([`storage_instances ${MOST_REPORTED + 3}`, 'storage_instances_unreported 3'])
  })

  test('are all in the documentation of the operator', () => {
    const documentation = readFileSync(join(import.meta.dirname, '..', '..', '..', 'docs', 'operator.md'), 'utf8')
    for (const [name, { labelNames }] of Object.entries(INSTANCE_METRICS)) {
      expect(documentation).toContain(`\`${name}{${['namespace', 'name', ...labelNames].join(',')}}\``)
    }
  })
})
