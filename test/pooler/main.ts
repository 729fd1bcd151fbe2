/** `npm run test:pooler`: the tests of the store and the routes through PgBouncer as Debian ships it, an older and a newer one. */
import { spawnSync } from 'node:child_process'
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { PgBouncerVersion } from '../support/pgbouncer-programs.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const VERSIONS: PgBouncerVersion[] = ['1.18.0', '1.24.1']
/** A name in the source, as far as it is not made of numbers or states; the probe is no statement of the store. */
const NAME = /\bname: ['`]([a-z]+_[a-z_]+)|new TableStatements\(\s*['`]([a-z_]+)/g
const PREFIX = /_$/

function expectedNames(): string[] {
  const texts = globSync('app/store/{documents,queue}/**/*.ts', { cwd: ROOT }).map((path) =>
    readFileSync(join(ROOT, path), 'utf8'),
  )
  return texts.flatMap((text) => [...text.matchAll(NAME)].map((match) => match[1] ?? match[2] ?? ''))
}

function runThrough(version: PgBouncerVersion, statementsFile: string): boolean {
  const args = ['run', '--config', 'test/pooler/vitest.config.ts', ...process.argv.slice(2)]
  const env = { ...process.env, TEST_POOLER: version, TEST_STATEMENTS: statementsFile }
  return spawnSync('vitest', args, { cwd: ROOT, env, stdio: 'inherit' }).status === 0
}

/** Names in the source that no test has run; a name that ends with `_` stands for all that begin with it. */
function missing(statementsFile: string): string[] {
  const names = [...new Set(readFileSync(statementsFile, 'utf8').split('\n'))]
  return expectedNames().filter(
    (wanted) => !names.some((name) => (PREFIX.test(wanted) ? name.startsWith(wanted) : name.split('@')[0] === wanted)),
  )
}

const folder = mkdtempSync(join(tmpdir(), 'sonoma-pooler-'))
try {
  for (const version of VERSIONS) {
    const statementsFile = join(folder, version)
    const passed = runThrough(version, statementsFile)
    const unused = passed && process.argv.length === 2 ? missing(statementsFile) : []
    if (unused.length > 0) process.stderr.write(`Through PgBouncer ${version} no test ran: ${unused.join(', ')}\n`)
    if (!passed || unused.length > 0) process.exitCode = 1
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
