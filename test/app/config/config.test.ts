import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { type Config, loadConfig } from '../../../app/config/config.ts'
import { helpText, variablesTable } from '../../../app/config/help.ts'
import { ConfigError } from '../../../app/config/problems.ts'
import { VARIABLES, type Variable } from '../../../app/config/variables.ts'
import { temporaryFolder } from '../../support/temporary.ts'

const ROOT = join(import.meta.dirname, '../../..')
const URL_WITH_PASSWORD = 'postgres://user:hunter2@db.example/app'
const GOOD = { DATABASE_URL: URL_WITH_PASSWORD, AUTH: 'none' }
const CLUSTER = { DATABASE_URL: URL_WITH_PASSWORD, KUBERNETES_SERVICE_HOST: '10.96.0.1' }

function load(env: Record<string, string>): Config {
  return loadConfig({ ...GOOD, ...env })
}

function problemsOf(env: Record<string, string>, args: string[] = []): string[] {
  try {
    loadConfig(env, args)
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
  throw new Error('Nothing was wrong.')
}

describe('defaults', () => {
  test('outside a cluster the service listens on loopback, at the ports of the contract', () => {
    const config = load({})
    expect(config).toMatchObject({ host: '127.0.0.1', port: 8003, metricsHost: '127.0.0.1', metricsPort: 9095 })
    expect(config).toMatchObject({ inCluster: false, logLevel: 'info', queueBatchSize: 100 })
    expect(config.database).toMatchObject({ url: URL_WITH_PASSWORD, directUrl: undefined, maxPoolSize: 20 })
    expect(config.limits).toMatchObject({ metadataBytes: 262_144, payloadBytes: 262_144 })
    expect(config.shutdown.delayMs).toBe(0)
  })

  test('in a cluster it listens on every address, asks for service account tokens and lingers before it stops', () => {
    const config = loadConfig(CLUSTER)
    expect(config).toMatchObject({ host: '::', metricsHost: '::', inCluster: true })
    expect(config.shutdown.delayMs).toBe(5_000)
    expect(config.auth).toMatchObject({
      mode: 'kubernetes',
      jwksUrl: 'https://kubernetes.default.svc/openid/v1/jwks',
      caFile: '/var/run/secrets/kubernetes.io/serviceaccount/ca.crt',
      bearerFile: '/var/run/secrets/kubernetes.io/serviceaccount/token',
    })
  })

  test('an empty variable is the same as none', () => {
    expect(load({ PORT: '', HOST: ' ', LOG_LEVEL: '' })).toEqual(load({}))
  })
})

describe('values', () => {
  test.each([
    ['200ms', 200],
    ['90s', 90_000],
    ['10m', 600_000],
    ['1h', 3_600_000],
  ])('STATEMENT_TIMEOUT=%s is %i ms', (text, expected) => {
    expect(load({ STATEMENT_TIMEOUT: text }).database.statementTimeoutMs).toBe(expected)
  })

  test.each([
    ['4096', 4_096],
    ['512KiB', 524_288],
    ['2MiB', 2_097_152],
  ])('METADATA_LIMIT=%s is %i bytes', (text, expected) => {
    expect(load({ METADATA_LIMIT: text }).limits.metadataBytes).toBe(expected)
  })

  test.each([
    ['info', 'info'],
    ['WARN', 'warn'],
    ['off', 'off'],
    ['sonoma=debug,info', 'info'],
    ['info,sonoma_storage::queue=trace', 'info'],
    ['sonoma_storage::queue=trace,sonoma=error', 'error'],
    ['sonoma', 'trace'],
    ['sonoma[request{id=7}]=debug', 'debug'],
    ['warn/connection', 'warn'],
  ])('RUST_LOG=%s means %s', (text, expected) => {
    expect(load({ RUST_LOG: text }).logLevel).toBe(expected)
  })

  test('LOG_LEVEL wins over RUST_LOG', () => {
    expect(load({ RUST_LOG: 'debug', LOG_LEVEL: 'error' }).logLevel).toBe('error')
  })

  test('a secret can come from a file', async () => {
    const file = join(await temporaryFolder(), 'url')
    await writeFile(file, `${URL_WITH_PASSWORD}\n`)
    expect(loadConfig({ AUTH: 'none', DATABASE_URL_FILE: file }).database.url).toBe(URL_WITH_PASSWORD)
  })
})

describe('AUTH', () => {
  test('outside a cluster it has to be said', () => {
    expect(problemsOf({ DATABASE_URL: URL_WITH_PASSWORD })).toEqual([
      'AUTH: not set outside a cluster; allowed is `kubernetes`, `token`, `none` (on a machine of your own: AUTH=none)',
    ])
  })

  test.each(['127.0.0.1', '127.8.9.1', '::1', 'localhost'])('none is enough on %s', (host) => {
    expect(load({ HOST: host }).auth).toEqual({ mode: 'none' })
  })

  test.each(['0.0.0.0', '::', '10.0.0.1', 'storage.example', '127.0.0.1.example'])(
    'none on %s has to be said twice',
    (host) => {
      expect(problemsOf({ ...GOOD, HOST: host }).join()).toMatch(/AUTH_NONE_CONFIRM=yes/)
      expect(load({ HOST: host, AUTH_NONE_CONFIRM: 'yes' }).auth).toEqual({ mode: 'none' })
    },
  )

  test('none in a cluster has to be said twice, because it listens on every address', () => {
    expect(problemsOf({ ...CLUSTER, AUTH: 'none' }).join()).toMatch(/AUTH_NONE_CONFIRM=yes/)
  })

  test('token needs its file', () => {
    expect(problemsOf({ ...GOOD, AUTH: 'token' }).join()).toMatch(/^AUTH_TOKENS_FILE: not set/)
  })

  test("the pod's own token goes to no other address than the cluster's, unless that is said", () => {
    const elsewhere = { ...CLUSTER, AUTH_JWKS_URL: 'https://keys.example/jwks' }
    expect(loadConfig(elsewhere).auth).toMatchObject({ bearerFile: undefined, caFile: undefined })
    expect(loadConfig({ ...elsewhere, AUTH_JWKS_TOKEN_FILE: '/t' }).auth).toMatchObject({ bearerFile: '/t' })
  })

  test('keys are fetched over plain HTTP from a loopback address only', () => {
    expect(problemsOf({ ...CLUSTER, AUTH_JWKS_URL: 'http://keys.example/jwks' }).join()).toMatch(/^AUTH_JWKS_URL: /)
    expect(loadConfig({ ...CLUSTER, AUTH_JWKS_URL: 'http://127.0.0.1:1/jwks' }).auth).toMatchObject({
      jwksUrl: 'http://127.0.0.1:1/jwks',
    })
  })
})

describe('what is wrong', () => {
  test.each([
    ['PORT', '70000', "'70000' is not allowed; allowed is a whole number from 0 to 65535"],
    ['MAX_POOL_SIZE', '0', "'0' is not allowed; allowed is a whole number from 1 to 1000"],
    ['QUEUE_BATCH_SIZE', '1e3', "'1e3' is not allowed; allowed is a whole number from 1 to 10000"],
    ['STATEMENT_TIMEOUT', '30', "'30' is not allowed; allowed is a duration such as"],
    ['BODY_LIMIT', '1TB', "'1TB' is not allowed; allowed is a size such as"],
    ['LOG_LEVEL', 'loud', "'loud' is not allowed; allowed is `off`, `error`"],
    ['RUST_LOG', 'sonoma=loud', "'sonoma=loud' is not allowed; allowed is a level, or directives"],
    ['HOST', 'a b', "'a b' is not allowed; allowed is an IP address or host name"],
  ])('%s=%s is named with what it was and what is allowed', (name, value, expected) => {
    const [problem, ...rest] = problemsOf({ ...GOOD, [name]: value })
    expect(problem).toContain(`${name}: ${expected}`)
    expect(rest).toEqual([])
  })

  test('everything wrong is told at once', () => {
    const problems = problemsOf({ PORT: 'x', AUTH: 'maybe', METRICS_PORT: '-1' }, ['--fast'])
    expect(problems.map((problem) => problem.split(':')[0])).toEqual([
      '--fast',
      'PORT',
      'METRICS_PORT',
      'AUTH',
      'DATABASE_URL',
    ])
  })

  test('limits that contradict each other are told', () => {
    expect(problemsOf({ ...GOOD, SHUTDOWN_DELAY: '30s' }).join()).toMatch(/^SHUTDOWN_TIMEOUT: /)
    expect(problemsOf({ ...GOOD, BODY_LIMIT: '256MiB' }).join()).toMatch(/^SHED_BYTES: /)
  })

  test('a secret is never shown, whatever is wrong with it', async () => {
    const file = join(await temporaryFolder(), 'url')
    await writeFile(file, 'mysql://user:hunter2@host/db')
    const messages = [
      ...problemsOf({ AUTH: 'none', DATABASE_URL: 'mysql://user:hunter2@host/db' }),
      ...problemsOf({ AUTH: 'none', DATABASE_URL_FILE: file }),
      ...problemsOf({ ...GOOD, DATABASE_DIRECT_URL: 'hunter2' }),
      ...problemsOf({ ...GOOD, DATABASE_URL_FILE: file }),
      ...problemsOf(GOOD, ['--database-url=postgres://user:hunter2@host/db', 'postgres://user:hunter2@host/db']),
    ]
    expect(messages).toHaveLength(6)
    expect(messages.join('\n')).not.toMatch(/hunter2|@host/)
  })
})

describe('one table', () => {
  const documentation = readFileSync(join(ROOT, 'docs/configuration.md'), 'utf8')

  test('docs/configuration.md holds it as it is', () => {
    expect(documentation).toContain(variablesTable())
  })

  test('--help names every variable', () => {
    const help = helpText()
    for (const name of Object.keys(VARIABLES)) expect(help).toContain(`  ${name}\n`)
  })

  test('every default is allowed', () => {
    for (const variable of Object.values<Variable<unknown>>(VARIABLES)) {
      if (variable.default !== undefined) expect(variable.kind.parse(variable.default)).not.toBeUndefined()
    }
  })
})

describe('the program', () => {
  const run = promisify(execFile)
  const main = join(ROOT, 'app/main.ts')

  test('a wrong variable ends the start with exit code 2 and names it, without its secret', async () => {
    const env = { DATABASE_URL: 'mysql://user:hunter2@host/db', AUTH: 'none', PORT: 'http' }
    const failure = await run(process.execPath, [main], { env }).catch((error: unknown) => error)
    expect(failure).toMatchObject({ code: 2, stdout: '' })
    expect((failure as { stderr: string }).stderr).toMatch(/^DATABASE_URL: the value .*\nPORT: 'http' is not allowed/)
    expect((failure as { stderr: string }).stderr).not.toContain('hunter2')
  })

  test('a file that cannot be used ends the start with exit code 2 and names the variable', async () => {
    const env = { DATABASE_URL: URL_WITH_PASSWORD, AUTH: 'token', AUTH_TOKENS_FILE: '/nowhere', PORT: '0' }
    const failure = await run(process.execPath, [main], { env }).catch((error: unknown) => error)
    expect(failure).toMatchObject({ code: 2 })
    expect((failure as { stderr: string }).stderr).toMatch(/^AUTH_TOKENS_FILE: the file '\/nowhere' cannot be used/)
  })

  test('--help and --version need no configuration', async () => {
    expect((await run(process.execPath, [main, '--help'], { env: {} })).stdout).toBe(helpText())
    expect((await run(process.execPath, [main, '--version'], { env: {} })).stdout).toMatch(/^\d+\.\d+\.\d+\n$/)
  })
})
