import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { ROOT } from './release.ts'

/** How the tests of a service ended; `output` says which failed. */
export type Outcome = { passed: number; failed: number; output: string }

export type ServiceTests = {
  /** The checkout whose service is tested by its own tests. */
  checkout: string
  /** The migrations of its schema; this checkout's runner applies them. */
  schemaFolder: string
  /** Only the files whose path has this in it. */
  only?: string
}

/** Runs the service's own tests (`service.config.ts` of its checkout) on a schema that need not be its own. */
export async function runServiceTests({ checkout, schemaFolder, only }: ServiceTests): Promise<Outcome> {
  const args = ['node_modules/vitest/vitest.mjs', 'run', '--config', 'test/releases/service.config.ts']
  const child = spawn(process.execPath, only === undefined ? args : [...args, only], {
    cwd: checkout,
    env: { ...outerEnvironment(), TEST_SCHEMA_RUNNER: ROOT, TEST_SCHEMA_FOLDER: schemaFolder },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  const output = out + err
  const [, passed, failed] = /^(\d+) passed, (\d+) failed(?:, \d+ skipped)?$/m.exec(out) ?? []
  if (passed === undefined) throw new Error(`The tests of ${checkout} did not run: ${output}`)
  return { passed: Number(passed), failed: Number(failed), output }
}

/** Without what the run around it tells its own processes. */
function outerEnvironment(): NodeJS.ProcessEnv {
  const own = /^(VITEST|TEST|NODE_ENV|MODE|PROD|DEV|BASE_URL|SSR)/
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !own.test(name)))
}
