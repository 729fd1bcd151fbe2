import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { createTestDatabase } from '../../support/database.ts'
import { temporaryFolder } from '../../support/temporary.ts'
import { emptyDatabase, FOLDER, SHIPPED, withClient } from '../fixture.ts'

type Output = { code: number; stdout: string; stderr: string }

function run(args: string[], env: Record<string, string> = {}): Promise<Output> {
  const options = { env: { PATH: process.env.PATH, ...env } }
  return new Promise((resolve) => {
    execFile(process.execPath, [join(FOLDER, '../main.ts'), ...args], options, (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr })
    })
  })
}

describe('npm run migrate', () => {
  test('goes up, tells the status, verifies and goes down', async () => {
    const DATABASE_URL = await emptyDatabase('command')
    expect(await run(['status'], { DATABASE_URL })).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('pending'),
    })
    const plan = await run(['plan'], { DATABASE_URL })
    expect(plan.stdout).toContain('CREATE TABLE public.documents (')
    expect(plan.stdout).toContain('pg-boss goes from version none to')
    const up = await run(['up', '--json'], { DATABASE_URL })
    expect(JSON.parse(up.stdout)).toMatchObject({ applied: SHIPPED, drift: 'ok' })
    expect(up.stderr).toContain('applying migration 0001_documents')
    expect(await run(['verify'], { DATABASE_URL })).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('is the committed one'),
    })
    const down = await run(['down', '--to', '0001'], { DATABASE_URL })
    expect(down).toMatchObject({ code: 0, stdout: expect.stringContaining('the schema is at version 0001') })
    const status = JSON.parse((await run(['status', '--json'], { DATABASE_URL })).stdout)
    expect(status.map(({ state }: { state: string }) => state)).toEqual([
      'applied',
      ...SHIPPED.slice(1).map(() => 'pending'),
    ])
    expect((await run(['up'], { DATABASE_URL })).code).toBe(0)
    expect((await run(['verify'], { DATABASE_URL })).code).toBe(0)
  }, 60_000)

  test('verify ends with 3 and names what differs; plan names whom a statement would wait for', async () => {
    const database = await createTestDatabase()
    await database.query('ALTER TABLE public.documents ADD COLUMN extra integer')
    const verify = await run(['verify'], { DATABASE_URL: database.url })
    expect(verify).toMatchObject({ code: 3, stdout: expect.stringContaining('extra: column public.documents.extra') })
    await database.query(`UPDATE storage.schema_history SET state = 'reverted' WHERE version > '0001'`)
    await database.query('CREATE SCHEMA IF NOT EXISTS storage')
    await withClient(database.url, async (client) => {
      await client.query('BEGIN; SELECT count(*) FROM storage.queue')
      const plan = JSON.parse((await run(['plan', '--json'], { DATABASE_URL: database.url })).stdout)
      expect(plan.migrations).toMatchObject(SHIPPED.slice(1).map((version) => ({ version, waitsForApproval: false })))
    })
  })

  test.each([
    [['sideways'], 'The command must be one of'],
    [[], 'The command must be one of'],
    [['down'], 'needs --to'],
    [['down', '--to', 'x'], 'four digits'],
    [['up', '--lock-timeout', 'soon'], '--lock-timeout'],
    [['up', '--what'], '--what'],
    [['up'], 'DATABASE_URL is not set'],
  ])('%j is wrong usage', async (args, message) => {
    const env: Record<string, string> = message.startsWith('DATABASE_URL')
      ? {}
      : { DATABASE_URL: 'postgres://127.0.0.1:1/x' }
    expect(await run(args, env)).toMatchObject({ code: 2, stderr: expect.stringContaining(message) })
  })

  test('an address may come from a file, and one that nobody answers is one sentence without the password', async () => {
    const file = join(await temporaryFolder(), 'url')
    await writeFile(file, 'postgres://user:secret@127.0.0.1:1/x\n')
    const output = await run(['up'], { DATABASE_URL_FILE: file })
    expect(output).toMatchObject({ code: 1, stderr: expect.stringContaining('cannot be reached') })
    expect(JSON.stringify(output)).not.toContain('secret')
  })

  test('help tells the exit codes', async () => {
    expect((await run(['--help'])).stdout).toMatch(/Exit codes: 0 done/)
  })
})
