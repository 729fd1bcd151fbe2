import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { readOptions, runMigrateTask } from '../../../operator/tasks/migrate-task.ts'
import { createTaskLog } from '../../../operator/tasks/task-log.ts'
import { toLine, writeTerminationMessage } from '../../../operator/tasks/termination-message.ts'
import { emptyDatabase, NEWEST, SHIPPED, withClient } from '../../migrations/fixture.ts'
import { temporaryFolder } from '../../support/temporary.ts'

const never = new AbortController().signal

function capturing() {
  const lines: string[] = []
  return { lines, log: createTaskLog('migrate', (line) => lines.push(line)) }
}

describe('the migrate task', () => {
  test('brings an empty database to the schema, says so and keeps its report', async () => {
    const DATABASE_URL = await emptyDatabase('task')
    const { lines, log } = capturing()
    const env = { DATABASE_URL, INSTANCE: 'search/crawl/uid-1' }
    const { exitCode, message } = await runMigrateTask(env, log, never)
    expect(exitCode).toBe(0)
    expect(message).toMatchObject({ code: 'ok', applied: SHIPPED, version: NEWEST, wanted: NEWEST })
    expect(lines.map((line) => JSON.parse(line).msg)).toContain('applying migration 0001_documents')
    const reports = await withClient(DATABASE_URL, (client) => client.query('SELECT * FROM storage.run_report'))
    expect(reports.rows).toMatchObject([{ kind: 'migrate', code: 'ok', report: { version: NEWEST } }])
  })

  test('another instance is refused by the name of the owner; the same one made anew is not', async () => {
    const DATABASE_URL = await emptyDatabase('task_claim')
    const { log } = capturing()
    await runMigrateTask({ DATABASE_URL, INSTANCE: 'search/crawl/uid-1' }, log, never)
    const other = await runMigrateTask({ DATABASE_URL, INSTANCE: 'search/other/uid-2' }, log, never)
    expect(other).toMatchObject({ exitCode: 4, message: { code: 'claimed' } })
    expect(other.message.error).toContain('belongs to the StorageInstance search/crawl')
    const again = await runMigrateTask({ DATABASE_URL, INSTANCE: 'search/crawl/uid-3' }, log, never)
    expect(again.exitCode).toBe(0)
  })

  test.each([
    ['200ms', 200],
    ['5s', 5_000],
    ['2m', 120_000],
  ])('takes the lock timeout %s, as a StorageInstance may have it', (LOCK_TIMEOUT, lockTimeoutMs) => {
    expect(readOptions({ DATABASE_URL: 'postgres://h/d', LOCK_TIMEOUT }).patience).toEqual({ lockTimeoutMs })
  })

  test('a wrong variable is named, and a secret is not shown', async () => {
    const { log, lines } = capturing()
    const end = await runMigrateTask({ DATABASE_URL: 'postgres://u:secret@h/d', LOCK_TIMEOUT: 'soon' }, log, never)
    expect(end).toMatchObject({ exitCode: 2, message: { code: 'wrong_usage' } })
    expect(end.message.error).toContain('LOCK_TIMEOUT')
    expect(lines.join()).not.toContain('secret')
  })
})

describe('the termination message', () => {
  test('is one JSON line', async () => {
    const folder = join(await temporaryFolder(), 'pod')
    await mkdir(folder)
    const path = join(folder, 'message')
    writeTerminationMessage({ code: 'ok', applied: ['0001'] }, path)
    expect(await readFile(path, 'utf8')).toBe('{"code":"ok","applied":["0001"]}\n')
  })

  test('is cut to what Kubernetes keeps, longest parts first', () => {
    const line = toLine({ code: 'failed', error: 'é'.repeat(9_000), differences: Array(500).fill('difference') })
    expect(Buffer.byteLength(line)).toBeLessThanOrEqual(3_500)
    expect(JSON.parse(line)).toMatchObject({ code: 'failed', differences: expect.arrayContaining(['difference']) })
  })
})
