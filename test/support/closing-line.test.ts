import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { temporaryFolder } from './temporary.ts'

const ROOT = join(import.meta.dirname, '../..')
const REPORTER = join(import.meta.dirname, 'closing-line.ts')

const PASSING = "test('passes', () => {})"
const SKIPPED = "test.runIf(false)('is left out', () => {})"
const LEFT_OUT_WHILE_RUNNING = "test('ends early', (context) => context.skip())"
const FAILING = "test('fails', () => { throw new Error('no') })"
const FAILING_SUITE = `describe('a suite', () => { beforeAll(() => { throw new Error('no') }); ${PASSING} })`

test.each([
  { name: 'only passes', tests: [PASSING], ci: false, line: '1 passed, 0 failed', code: 0 },
  { name: 'only passes', tests: [PASSING], ci: true, line: '1 passed, 0 failed', code: 0 },
  { name: 'skips', tests: [PASSING, SKIPPED], ci: false, line: '1 passed, 0 failed, 1 skipped', code: 0 },
  { name: 'skips', tests: [PASSING, SKIPPED], ci: true, line: '1 passed, 1 failed, 1 skipped', code: 1 },
  {
    name: 'skips while it runs',
    tests: [PASSING, LEFT_OUT_WHILE_RUNNING],
    ci: true,
    line: '1 passed, 1 failed, 1 skipped',
    code: 1,
  },
  { name: 'fails', tests: [PASSING, FAILING], ci: false, line: '1 passed, 1 failed', code: 1 },
  { name: 'fails and skips', tests: [FAILING, SKIPPED], ci: true, line: '0 passed, 2 failed, 1 skipped', code: 1 },
  { name: 'fails in a hook', tests: [FAILING_SUITE], ci: false, line: '0 passed, 1 failed, 1 skipped', code: 1 },
])('a run that $name, CI=$ci: $line', async ({ tests, ci, line, code }) => {
  const run = await runVitest(tests, ci)
  expect(run.lines.at(-1), run.lines.join('\n')).toBe(line)
  expect(run.code).toBe(code)
})

/** Runs the tests, alone, in a folder of their own. */
async function runVitest(tests: string[], ci: boolean): Promise<{ lines: string[]; code: number }> {
  const folder = await temporaryFolder()
  const imports = "import { beforeAll, describe, test } from 'vitest'"
  await writeFile(join(folder, 'some.test.ts'), [imports, ...tests].join('\n'))
  const config = { test: { reporters: ['default', REPORTER] } }
  await writeFile(join(folder, 'vitest.config.js'), `export default ${JSON.stringify(config)}`)
  const args = [join(ROOT, 'node_modules/vitest/vitest.mjs'), 'run', '--root', folder]
  const child = spawn(process.execPath, args, {
    env: { PATH: process.env.PATH, ...(ci && { CI: 'true' }) },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const [out] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  return { lines: out.trimEnd().split('\n'), code: child.exitCode ?? -1 }
}
