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

  test('an instance of the same name in another cluster is refused, unless it names the owner that it takes over from', async () => {
    const DATABASE_URL = await emptyDatabase('task_clusters')
    const { log } = capturing()
    const run = (CLUSTER: string, more = {}, instance = 'search/crawl/uid-1') =>
      runMigrateTask({ DATABASE_URL, INSTANCE: instance, CLUSTER, ...more }, log, never)
    const owner = () =>
      withClient(
        DATABASE_URL,
        async (client) => (await client.query('SELECT namespace, name, uid FROM storage.instance')).rows[0],
      )
    expect((await run('east')).exitCode).toBe(0)
    const refused = await run('west')
    expect(refused).toMatchObject({ exitCode: 4, message: { code: 'claimed' } })
    expect(refused.message.error).toContain(
      'belongs to the StorageInstance east/search/crawl, not to west/search/crawl',
    )
    expect((await run('west', { TAKE_OVER: 'search/crawl' })).exitCode).toBe(4)
    expect(await owner()).toEqual({ namespace: 'search', name: 'crawl', uid: 'east/uid-1' })
    expect((await run('west', { TAKE_OVER: 'east/search/crawl' }, 'search/other/uid-2')).exitCode).toBe(0)
    expect(await owner()).toEqual({ namespace: 'search', name: 'other', uid: 'west/uid-2' })
    expect((await run('west', { TAKE_OVER: 'east/search/crawl' }, 'search/crawl/uid-3')).exitCode).toBe(4)
  })

  test('a database that names no cluster yet is taken over by the same name, once', async () => {
    const DATABASE_URL = await emptyDatabase('task_former_owner')
    const { log } = capturing()
    const run = (CLUSTER: string, uid: string) =>
      runMigrateTask({ DATABASE_URL, INSTANCE: `search/crawl/${uid}`, CLUSTER }, log, never)
    expect((await run('', 'uid-1')).exitCode).toBe(0)
    expect((await run('east', 'uid-2')).exitCode).toBe(0)
    expect((await run('west', 'uid-3')).exitCode).toBe(4)
    // Who does not know its cluster leaves what is written.
    expect((await run('', 'uid-4')).exitCode).toBe(0)
    expect((await run('west', 'uid-3')).exitCode).toBe(4)
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
