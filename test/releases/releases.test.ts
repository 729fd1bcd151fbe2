import { execFile } from 'node:child_process'
import { cp, readdir, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { REQUIRED_SCHEMA_VERSION } from '../../app/contract.ts'
import { lintMigrations } from '../../migrations/cli/lint.ts'
import { readMigrations } from '../../migrations/files/files.ts'
import { migrate } from '../../migrations/run/run.ts'
import { addMigration, copyOfMigrations, emptyDatabase, FOLDER } from '../migrations/fixture.ts'
import { eventually } from '../support/eventually.ts'
import { startTestService } from '../support/service.ts'
import { temporaryFolder } from '../support/temporary.ts'
import { addFutureMigrations } from './future-migrations.ts'
import { checkOut, previousRelease, ROOT } from './release.ts'
import { type Outcome, runServiceTests, type ServiceTests } from './service-tests.ts'

const TIMEOUT_MS = 600_000
const SOURCES = [
  'app',
  'docs',
  'migrations',
  'operator',
  'test',
  'package.json',
  'package-lock.json',
  'tsconfig.json',
  'vitest.config.ts',
]

const files = (await readMigrations(FOLDER)).filter(({ header }) => header.phase !== 'contract')
const versions = files.map(({ version }) => version)

/** The migrations up to a number, without those that wait for an approval. */
async function schemaUpTo(last: string): Promise<string> {
  const folder = await copyOfMigrations()
  for (const name of await readdir(folder)) {
    if (/^\d{4}_/.test(name) && name.slice(0, 4) > last) await rm(join(folder, name), { recursive: true })
  }
  return folder
}

async function expectAllPassed(run: ServiceTests): Promise<void> {
  const { passed, failed, output } = await runServiceTests(run)
  expect({ failed, output: failed > 0 ? output : '' }).toEqual({ failed: 0, output: '' })
  expect(passed).toBeGreaterThan(100)
}

const run = promisify(execFile)

async function git(repository: string, ...args: string[]): Promise<void> {
  const who = ['-c', 'user.name=test', '-c', 'user.email=test@example.com', '-c', 'commit.gpgsign=false']
  await run('git', ['-C', repository, ...who, ...args])
}

/** A repository whose one release is what is checked out here: it stands in until there is a release. */
async function rehearsal(): Promise<string> {
  const repository = await temporaryFolder()
  for (const name of SOURCES) await cp(join(ROOT, name), join(repository, name), { recursive: true, filter: isSource })
  await git(repository, 'init', '--quiet')
  await git(repository, 'add', '--all')
  await git(repository, 'commit', '--quiet', '--message', 'The release')
  await git(repository, 'tag', 'v0.0.1')
  await git(repository, 'commit', '--quiet', '--message', 'What came after it', '--allow-empty')
  return repository
}

function isSource(path: string): boolean {
  return !['node_modules', '.cluster', '.data', 'dist'].includes(basename(path))
}

const repository = (await previousRelease(ROOT)) === undefined ? await rehearsal() : ROOT
const tag = (await previousRelease(repository)) ?? ''

describe(`the service of ${repository === ROOT ? tag : 'a release like this one'} on the schemas after it`, async () => {
  const release = await checkOut(repository, tag)
  const known = (await readMigrations(join(release, 'migrations/sql'))).map(({ version }) => version)
  const later = versions.filter((version) => !known.includes(version))

  test.each(later)('works after %s', { timeout: TIMEOUT_MS }, async (version) => {
    await expectAllPassed({ checkout: release, schemaFolder: await schemaUpTo(version) })
  })

  test('works after one migration of each kind that is no contract', { timeout: TIMEOUT_MS }, async () => {
    const schemaFolder = await copyOfMigrations()
    await addFutureMigrations(schemaFolder)
    expect(await lintMigrations(schemaFolder)).toBe('')
    await expectAllPassed({ checkout: release, schemaFolder })
  })

  test('is seen to fail after one that breaks it', { timeout: TIMEOUT_MS }, async () => {
    const schemaFolder = await copyOfMigrations()
    await addMigration(schemaFolder, '9001_breaks', 'ALTER TABLE public.documents ADD COLUMN owner text NOT NULL;')
    const outcome: Outcome = await runServiceTests({ checkout: release, schemaFolder, only: 'documents/read/read' })
    expect(outcome.failed).toBeGreaterThan(0)
    expect(outcome.output).toContain('null value in column "owner"')
  })
})

describe('this service on the schemas before it', () => {
  const before = versions.map((version, index) => [version, versions[index - 1] ?? '0000'] as const)
  const enough = before.filter(([, schema]) => schema >= REQUIRED_SCHEMA_VERSION)
  const tooOld = before.filter(([, schema]) => schema < REQUIRED_SCHEMA_VERSION)

  test.each(enough)('works without %s, on %s', { timeout: TIMEOUT_MS }, async (_version, schema) => {
    await expectAllPassed({ checkout: ROOT, schemaFolder: await schemaUpTo(schema) })
  })

  test.each(tooOld)('says that it cannot do without %s, on %s', async (_version, schema) => {
    const databaseUrl = await emptyDatabase(`before_${schema}`)
    // The view of this release finds no table to read from: the run ends there.
    await migrate({ databaseUrl, folder: await schemaUpTo(schema) }).catch(() => undefined)
    const service = await startTestService({ databaseUrl })
    const reason =
      schema === '0000'
        ? 'the database has no schema yet; run the migrations'
        : `the schema is ${schema} and must be ${REQUIRED_SCHEMA_VERSION}; run the migrations`
    await eventually(async () =>
      expect(await service.call('GET', '/readyz')).toMatchObject({
        status: 503,
        body: { status: 'not_ready', reason },
      }),
    )
    expect(await service.call('GET', '/api/documents/changes')).toMatchObject({
      status: 503,
      body: { code: 'database_unavailable' },
    })
  })
})

test('the release before is the newest tag below what is checked out', async () => {
  const folder = await temporaryFolder()
  expect(await previousRelease(folder)).toBeUndefined()
  await git(folder, 'init', '--quiet')
  for (const release of ['v0.9.0', 'v0.10.0', 'v0.11.0-rc.1', 'v0.11.0']) {
    await git(folder, 'commit', '--quiet', '--message', release, '--allow-empty')
    await git(folder, 'tag', release)
  }
  expect(await previousRelease(folder)).toBe('v0.10.0')
  await git(folder, 'commit', '--quiet', '--message', 'more', '--allow-empty')
  expect(await previousRelease(folder)).toBe('v0.11.0')
})
