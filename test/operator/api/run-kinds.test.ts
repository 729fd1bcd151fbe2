import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { StorageInstanceStatus } from '../../../operator/api/instance/status.ts'
import { selectorOf } from '../../../operator/api/labels.ts'
import { RUN_KIND_NAMES, type RunKind, runKind, usesDatabase } from '../../../operator/api/run-kinds.ts'
import { taskJob } from '../../../operator/desired/runs/task-job.ts'
import { instanceOf } from '../plan/world.ts'

const ROOT = join(import.meta.dirname, '../../..')
const implemented = RUN_KIND_NAMES.filter((kind) => runKind(kind).program !== undefined)
const programOf = (kind: RunKind) => `operator/tasks/${runKind(kind).program}.ts`

const run = {
  name: 'crawl-run-1',
  key: 'k',
  phase: 'Pending' as const,
  startedAt: '2026-11-23T02:15:00Z',
  deadline: '2026-11-23T02:17:00Z',
}

describe('the table of run kinds', () => {
  test('gives the fields of status.runs', () => {
    expect(Object.keys(StorageInstanceStatus.properties.runs.properties)).toEqual(RUN_KIND_NAMES)
  })

  test.each(implemented)('%s: its Job runs its program, and carries its kind as component', (kind) => {
    const job = JSON.stringify(taskJob(instanceOf(), { kind, run, image: 'image:1', env: [] }))
    expect(existsSync(join(ROOT, programOf(kind)))).toBe(true)
    expect(job).toContain(`/srv/${programOf(kind).replace('.ts', '.js')}`)
    expect(job).toContain(JSON.stringify(selectorOf('crawl', kind)).slice(1, -1))
  })

  test('names what is bundled for the pods of runs', () => {
    const printed = execFileSync(process.execPath, [join(ROOT, 'operator/task-programs.ts')], { encoding: 'utf8' })
    expect(printed.trim().split(' ')).toEqual(['operator/tasks/init-database.ts', ...implemented.map(programOf)])
    const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: { bundle: string } }
    expect(scripts.bundle).toContain('$(node operator/task-programs.ts)')
  })

  test('says which runs take turns', () => {
    expect(RUN_KIND_NAMES.filter(usesDatabase)).toEqual([
      'provision',
      'migrate',
      'backup',
      'verify',
      'restore',
      'maintain',
    ])
    expect([usesDatabase('api'), usesDatabase(undefined)]).toEqual([false, false])
  })
})
