import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { EXIT_CODES } from '../../../operator/contract.ts'
import { ConfigError, loadConfig } from '../../../operator/process/config.ts'
import { helpText, variablesTable } from '../../../operator/process/config-help.ts'
import { VARIABLES } from '../../../operator/process/config-variables.ts'
import { createLogger } from '../../../operator/process/log.ts'

const MAIN = join(import.meta.dirname, '..', '..', '..', 'operator', 'process', 'main.ts')
const IN_CLUSTER = { KUBERNETES_SERVICE_HOST: '10.0.0.1' }

function problemsOf(env: Record<string, string>, args: string[] = []): string {
  try {
    loadConfig({ ...IN_CLUSTER, ...env }, args)
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError)
    return (error as Error).message
  }
  return ''
}

describe('the configuration', () => {
  test('has a default for everything in a cluster', () => {
    expect(loadConfig(IN_CLUSTER)).toMatchObject({
      watchNamespaces: [],
      namespace: 'default',
      workers: 10,
      maxConcurrentRollouts: undefined,
      lease: { name: 'sonoma-storage-operator', durationMs: 15_000, renewDeadlineMs: 10_000, retryPeriodMs: 2_000 },
      healthPort: 8081,
      metricsPort: 9095,
      kubeconfig: undefined,
    })
  })

  test('reads what is set; an empty value is none', () => {
    const env = {
      WATCH_NAMESPACES: 'a, b,a',
      POD_NAMESPACE: 'ops',
      POD_NAME: 'operator-1',
      WORKERS: '',
      LOG_LEVEL: 'DEBUG',
      API_SERVER_PORTS: '443, 8443',
      MAX_CONCURRENT_ROLLOUTS: '3',
    }
    expect(loadConfig({ ...IN_CLUSTER, ...env, KUBECONFIG: '/k' })).toMatchObject({
      watchNamespaces: ['a', 'b'],
      namespace: 'ops',
      podName: 'operator-1',
      workers: 10,
      logLevel: 'debug',
      apiServerPorts: [443, 8443],
      maxConcurrentRollouts: 3,
      kubeconfig: '/k',
    })
  })

  test.each([
    ['WATCH_NAMESPACES', 'a,,b'],
    ['WATCH_NAMESPACES', 'Search'],
    ['POD_NAMESPACE', '-x'],
    ['WORKERS', '0'],
    ['MAX_CONCURRENT_ROLLOUTS', '0'],
    ['MAX_CONCURRENT_ROLLOUTS', '5%'],
    ['WORKERS', '1.5'],
    ['LEASE_DURATION', '15'],
    ['SERVICE_IMAGE', 'a b'],
    ['HOST', 'a/b'],
    ['API_SERVER_PORTS', '443,x'],
    ['API_SERVER_PORTS', '0'],
    ['METRICS_PORT', '65536'],
    ['LOG_LEVEL', 'loud'],
  ])('refuses %s=%s by name', (name, value) => {
    expect(problemsOf({ [name]: value })).toMatch(new RegExp(`^${name}: '.*' is not allowed; allowed is `))
  })

  test('refuses times of the lease under which two could lead, or none', () => {
    expect(problemsOf({ LEASE_DURATION: '10s' })).toMatch(/^LEASE_RENEW_DEADLINE: /)
    expect(problemsOf({ LEASE_DURATION: '1500ms', LEASE_RENEW_DEADLINE: '1s', LEASE_RETRY_PERIOD: '200ms' })).toMatch(
      /^LEASE_DURATION: not whole seconds/,
    )
    expect(problemsOf({ LEASE_RETRY_PERIOD: '9s' })).toMatch(/^LEASE_RETRY_PERIOD: /)
  })

  test('tells everything that is wrong at once', () => {
    const problems = problemsOf({ WORKERS: 'x', LOG_LEVEL: 'y' }, ['--fast'])
    expect(problems.split('\n').map((line) => line.split(':')[0])).toEqual(['--fast', 'WORKERS', 'LOG_LEVEL'])
  })

  test('has each variable in the help and in the documentation', () => {
    const documentation = readFileSync(join(import.meta.dirname, '..', '..', '..', 'docs', 'operator.md'), 'utf8')
    expect(documentation).toContain(variablesTable())
    for (const name of Object.keys(VARIABLES)) {
      expect(helpText()).toContain(`\n  ${name}\n`)
    }
  })
})

describe('the program', () => {
  const run = (args: string[], env: Record<string, string> = {}) =>
    promisify(execFile)(process.execPath, [MAIN, ...args], { env: { PATH: process.env.PATH, ...env } })

  test('prints its help', async () => {
    expect((await run(['--help'])).stdout).toBe(helpText())
  })

  test('ends with exit code 2 and the name of what is wrong', async () => {
    const wrong = { code: EXIT_CODES.wrongConfiguration, stderr: expect.stringContaining('KUBECONFIG: not set') }
    await expect(run([])).rejects.toMatchObject(wrong)
  })
})

test('the log is JSON with a reason, without passwords and without the fields of errors', () => {
  const lines: string[] = []
  const log = createLogger('info', { write: (line: string) => void lines.push(line) })
  const error = Object.assign(new Error('no way to postgres://me:hunter2@db/x'), {
    headers: { authorization: 'hunter3' },
  })
  log.warn({ instance: 'search/crawl', reason: 'ReconcileFailed', error }, 'failed')
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({
    level: 'warn',
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
    instance: 'search/crawl',
    reason: 'ReconcileFailed',
    error: { type: 'Error', message: 'no way to postgres://***@db/x' },
    message: 'failed',
  })
  expect(lines[0]).not.toMatch(/hunter/)
})
