import { mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { SignJWT } from 'jose'
import { beforeEach, describe, expect, test } from 'vitest'
import type { AllowList } from '../../app/auth/allow-list.ts'
import { createAuthenticator } from '../../app/auth/authenticator.ts'
import type { Authenticator, AuthLog } from '../../app/auth/caller.ts'
import { fetchKeys } from '../../app/auth/fetch-keys.ts'
import { KeySet } from '../../app/auth/key-set.ts'
import { ServiceAccounts } from '../../app/auth/service-accounts.ts'
import { StaticTokens } from '../../app/auth/static-tokens.ts'
import { loadConfig } from '../../app/config/config.ts'
import { ConfigError } from '../../app/config/problems.ts'
import { Metrics } from '../../app/metrics.ts'
import type { App } from '../../app/schemas/app.ts'
import { buildTestApp, capturingLogger } from '../support/app.ts'
import { createCertificate } from '../support/certificate.ts'
import { KeyServer, SigningKey } from '../support/key-server.ts'
import { temporaryFolder } from '../support/temporary.ts'

const ISSUER = 'https://kubernetes.example'
const MINUTE_MS = 60_000
const silent: AuthLog = { warn: () => {}, info: () => {} }

function routes(app: App): void {
  app.get('/t/read', { config: { access: 'Read' } }, (request) => ({ caller: request.caller?.name }))
  app.get('/t/write', { config: { access: 'Write' } }, () => ({}))
  app.get('/t/admin', { config: { access: 'Admin' } }, () => ({}))
  app.get('/t/open', { config: { access: 'Open' } }, () => ({}))
  app.get('/t/inside/:level', { config: { access: 'Read' } }, (request) => {
    request.requireAccess((request.params as { level: 'Write' }).level)
    return {}
  })
}

/** The statuses of the routes in order of their level, for one credential. */
async function statuses(app: App, token?: string): Promise<number[]> {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
  const answers = ['/t/open', '/t/read', '/t/write', '/t/admin'].map((url) => app.inject({ url, headers }))
  return (await Promise.all(answers)).map((answer) => answer.statusCode)
}

const READ = 'read-token-0123456789'
const WRITE = 'write-token-0123456789'
const ADMIN = 'admin-token-0123456789=='

describe('AUTH=none', () => {
  test('lets everybody do everything', async () => {
    expect(await statuses(await buildTestApp({ routes }))).toEqual([200, 200, 200, 200])
  })
})

describe('AUTH=token', () => {
  let file = ''
  let now = 0
  const lines = `# the tokens\nRead ${READ}\n\nwrite ${WRITE} crawler\r\nAdmin ${ADMIN} on-call\n`

  beforeEach(async () => {
    file = join(await temporaryFolder(), 'tokens')
    await writeFile(file, lines)
    now = 0
  })

  const build = (log = silent) =>
    buildTestApp({ routes, parts: { authenticator: new StaticTokens(file, log, () => now) } })

  test('each level includes the ones before it', async () => {
    const app = await build()
    expect(await statuses(app, READ)).toEqual([200, 200, 403, 403])
    expect(await statuses(app, WRITE)).toEqual([200, 200, 200, 403])
    expect(await statuses(app, ADMIN)).toEqual([200, 200, 200, 200])
  })

  test('a handler can ask for another level', async () => {
    const app = await build()
    const headers = { authorization: `Bearer ${READ}` }
    expect((await app.inject({ url: '/t/inside/Read', headers })).statusCode).toBe(200)
    expect((await app.inject({ url: '/t/inside/Write', headers })).json()).toMatchObject({ code: 'forbidden' })
  })

  test('the caller has the name of the file, or of its line', async () => {
    const app = await build()
    const nameOf = async (token: string) =>
      (await app.inject({ url: '/t/read', headers: { authorization: `bearer ${token}` } })).json().caller
    expect(await nameOf(WRITE)).toBe('crawler')
    expect(await nameOf(READ)).toBe('token of line 2')
  })

  test.each([
    undefined,
    '',
    'Bearer',
    'Bearer ',
    'Basic dXNlcjpwYXNz',
    `Token ${READ}`,
    `Bearer ${READ} x`,
    `Bearer ${READ.slice(0, -1)}`,
    `Bearer ${READ}0`,
    'Bearer é',
  ])('%j is 401 with a challenge', async (authorization) => {
    const app = await build()
    const answer = await app.inject({ url: '/t/read', headers: authorization === undefined ? {} : { authorization } })
    expect(answer.json()).toMatchObject({ status: 401, code: 'unauthorized' })
    expect(answer.headers['www-authenticate']).toMatch(/^Bearer/)
  })

  test('a rotated file is read within a second, without a restart', async () => {
    const app = await build()
    await writeFile(file, `Write another-token-0123456789\n`)
    expect(await statuses(app, WRITE)).toEqual([200, 200, 200, 403])
    now += 1_000
    expect(await statuses(app, WRITE)).toEqual([200, 401, 401, 401])
    expect(await statuses(app, 'another-token-0123456789')).toEqual([200, 200, 200, 403])
  })

  test('a mounted file that Kubernetes swaps is read again, even with the same size and time', async () => {
    const folder = await temporaryFolder()
    for (const [name, token] of [
      ['one', 'token-number-one'],
      ['two', 'token-number-two'],
    ] as const) {
      await mkdir(join(folder, name))
      await writeFile(join(folder, name, 'tokens'), `Write ${token}\n`)
    }
    await symlink('one', join(folder, '..data'))
    file = join(folder, '..data', 'tokens')
    const app = await build()
    await symlink('two', join(folder, '..next'))
    await rename(join(folder, '..next'), join(folder, '..data'))
    now += 1_000
    expect(await statuses(app, 'token-number-two')).toEqual([200, 200, 200, 403])
  })

  test.each(['Wrong some-token-0123456789\n', '', 'Read short\n', 'deleted'])(
    'with a broken file (%j) the old tokens stay, and the log says so once',
    async (content) => {
      const warnings: object[] = []
      const app = await build({ ...silent, warn: (fields) => warnings.push(fields) })
      if (content === 'deleted') await rm(file)
      else await writeFile(file, content)
      for (const _ of [1, 2, 3]) {
        now += 1_000
        expect(await statuses(app, WRITE)).toEqual([200, 200, 200, 403])
      }
      expect(warnings).toHaveLength(1)
      expect(JSON.stringify(warnings)).not.toContain('some-token')
      await writeFile(file, lines.replace(WRITE, 'mended-token-0123456789'))
      now += 1_000
      expect(await statuses(app, 'mended-token-0123456789')).toEqual([200, 200, 200, 403])
    },
  )

  test('a broken file at the start is a wrong configuration that names the line, not the token', async () => {
    await writeFile(file, `Read ${READ}\nWrite secret\n`)
    const start = () => createAuthenticator({ mode: 'token', tokensFile: file }, silent)
    const error = await start().catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(ConfigError)
    expect(String(error)).toMatch(/AUTH_TOKENS_FILE: .*line 2 has no token/)
    expect(String(error)).not.toContain('secret')
  })
})

describe('AUTH=kubernetes', async () => {
  const key = await SigningKey.create('key-1')
  const other = await SigningKey.create('key-2')
  let wallMs = 0
  let monotonicMs = 0

  beforeEach(() => {
    wallMs = Date.now()
    monotonicMs = 0
  })

  const pass = (ms: number) => {
    wallMs += ms
    monotonicMs += ms
  }

  type Options = { allowList?: AllowList }

  const accounts = (server: KeyServer, { allowList = 'own namespace' }: Options = {}): Authenticator =>
    new ServiceAccounts(
      {
        keys: new KeySet({
          fetch: () => fetchKeys({ url: server.url, ca: () => undefined, bearer: () => undefined }),
          log: silent,
          now: () => monotonicMs,
        }),
        issuer: () => ISSUER,
        allowList: () => allowList,
        namespace: () => 'search',
      },
      () => wallMs,
    )
  const build = (authenticator: Authenticator) => buildTestApp({ routes, parts: { authenticator } })

  test('without an allow list every account of the own namespace has Write', async () => {
    const app = await build(accounts(await KeyServer.start([key])))
    expect(await statuses(app, await key.token())).toEqual([200, 200, 200, 403])
    const stranger = await key.token({ sub: 'system:serviceaccount:elsewhere:crawler' })
    expect(await statuses(app, stranger)).toEqual([200, 403, 403, 403])
  })

  test('the allow list gives each account its highest level', async () => {
    const entry = { namespace: 'web', serviceAccount: 'admin' }
    const allowList = [
      { namespace: 'search', serviceAccount: 'viewer', access: 'Read' as const },
      { ...entry, access: 'Admin' as const },
      { ...entry, access: 'Read' as const },
    ]
    const app = await build(accounts(await KeyServer.start([key]), { allowList }))
    const of = async (account: string) => statuses(app, await key.token({ sub: `system:serviceaccount:${account}` }))
    expect(await of('search:viewer')).toEqual([200, 200, 403, 403])
    expect(await of('web:admin')).toEqual([200, 200, 200, 200])
    expect(await of('search:crawler')).toEqual([200, 403, 403, 403])
    expect(await of('web:viewer')).toEqual([200, 403, 403, 403])
  })

  const bound = (namespace: unknown, name: unknown) => ({
    'kubernetes.io': { namespace, serviceaccount: { name, uid: 'x' } },
  })

  test.each<[string, Record<string, unknown>]>([
    ['names the same account', bound('search', 'crawler')],
    ['is not there', {}],
    ['is null', { 'kubernetes.io': null }],
    ['says nothing of the account', { 'kubernetes.io': { pod: { name: 'crawler-0' } } }],
  ])('the subject decides where the claim of Kubernetes %s', async (_what, claims) => {
    const app = await build(accounts(await KeyServer.start([key])))
    expect(await statuses(app, await key.token(claims))).toEqual([200, 200, 200, 403])
  })

  test.each<[string, Record<string, unknown>]>([
    ['names an account in the claim of Kubernetes alone', { sub: 'crawler', ...bound('search', 'crawler') }],
    ['has a subject of another kind', { sub: 'system:node:search:crawler' }],
    ['has a subject with a part too many', { sub: 'system:serviceaccount:search:crawler:x' }],
    ['has a subject without a name', { sub: 'system:serviceaccount:search:' }],
    ['names another account in that claim', bound('search', 'other')],
    ['names another namespace in that claim', bound('elsewhere', 'crawler')],
    ['has that claim with values that are no names', bound(['search'], { crawler: 1 })],
  ])('a token that %s is 401', async (_what, claims) => {
    const app = await build(accounts(await KeyServer.start([key])))
    expect(await statuses(app, await key.token(claims))).toEqual([200, 401, 401, 401])
  })

  test.each([
    ['of another audience', { aud: ['https://kubernetes.default.svc'] }, /audience storage\.sonoma\.dev/],
    ['without an audience', { aud: undefined }, /audience/],
    ['of another issuer', { iss: 'https://other.example' }, /iss/],
    ['of nobody', { sub: undefined }, /sub/],
    ['that has expired', { expiresIn: '-1m' }, /expired/],
  ])('a token %s is 401', async (_name, claims, reason) => {
    const app = await build(accounts(await KeyServer.start([key])))
    const headers = { authorization: `Bearer ${await key.token(claims)}` }
    const answer = await app.inject({ url: '/t/read', headers })
    expect(answer.json()).toMatchObject({ status: 401, code: 'unauthorized' })
    expect(answer.json().detail).toMatch(reason)
    expect(answer.headers['www-authenticate']).toBe('Bearer error="invalid_token"')
  })

  test('a token that is not signed, or by a key of its own, is 401', async () => {
    const server = await KeyServer.start([key])
    const app = await build(accounts(server))
    const good = await key.token()
    const [head = '', body = '', signature = ''] = good.split('.')
    const unsigned = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${body}.`
    const secret = new TextEncoder().encode(JSON.stringify(key.publicJwk))
    const symmetric = await new SignJWT({
      iss: ISSUER,
      aud: 'storage.sonoma.dev',
      sub: 'system:serviceaccount:search:x',
    })
      .setProtectedHeader({ alg: 'HS256', kid: key.id })
      .setExpirationTime('1h')
      .sign(secret)
    const forged = await (await SigningKey.create(key.id)).token()
    const changed = `${head}.${body.slice(0, -2)}AA.${signature}`
    for (const token of [unsigned, symmetric, forged, changed, `${head}.${body}`, 'x', good.slice(0, -4)]) {
      expect(await statuses(app, token)).toEqual([200, 401, 401, 401])
    }
  })

  test('a token that was checked is not taken beyond its expiry', async () => {
    const app = await build(accounts(await KeyServer.start([key])))
    const token = await key.token({ expiresIn: '30s' })
    expect(await statuses(app, token)).toEqual([200, 200, 200, 403])
    pass(45_000)
    expect(await statuses(app, token)).toEqual([200, 401, 401, 401])
  })

  test('a key that the cluster has withdrawn ends its tokens with the next fetch', async () => {
    const server = await KeyServer.start([key])
    const app = await build(accounts(server))
    const token = await key.token({ expiresIn: '10h' })
    expect(await statuses(app, token)).toEqual([200, 200, 200, 403])
    server.keys = [other.publicJwk]
    pass(21 * MINUTE_MS)
    await statuses(app, token)
    await expect.poll(() => statuses(app, token)).toEqual([200, 401, 401, 401])
  })

  test('without any keys callers are told to come back, and are let in once the keys are there', async () => {
    const server = await KeyServer.start([key])
    server.status = 503
    const app = await build(accounts(server))
    const headers = { authorization: `Bearer ${await key.token()}` }
    const answer = await app.inject({ url: '/t/read', headers })
    expect(answer.json()).toMatchObject({ status: 503, code: 'auth_unavailable' })
    expect(answer.headers['retry-after']).toBe('5')
    server.status = 200
    pass(1_000)
    expect((await app.inject({ url: '/t/read', headers })).statusCode).toBe(200)
  })

  describe('in a pod', () => {
    const certificate = createCertificate()

    /** A pod's mounted folder, and the environment of a service in it whose API server is a local one. */
    async function pod(server: KeyServer) {
      const folder = await temporaryFolder()
      const own = await key.token({
        aud: ['https://kubernetes.default.svc'],
        sub: 'system:serviceaccount:search:storage',
      })
      await writeFile(join(folder, 'token'), own)
      await writeFile(join(folder, 'namespace'), 'search')
      await writeFile(join(folder, 'ca.crt'), certificate.cert)
      const env = {
        DATABASE_URL: 'postgres://nobody@127.0.0.1:1/nothing',
        KUBERNETES_SERVICE_HOST: '127.0.0.1',
        SERVICE_ACCOUNT_DIR: folder,
        AUTH_JWKS_URL: server.url,
        AUTH_JWKS_CA_FILE: join(folder, 'ca.crt'),
        AUTH_JWKS_TOKEN_FILE: join(folder, 'token'),
      }
      return { folder, own, env }
    }
    const start = (env: Record<string, string>, log = silent) => createAuthenticator(loadConfig(env).auth, log)

    test('issuer, namespace, authority and credential come from the mounted folder', async () => {
      const server = await KeyServer.start([key], certificate)
      const { env, own } = await pod(server)
      const app = await build(await start(env))
      expect(await statuses(app, await key.token())).toEqual([200, 200, 200, 403])
      expect(server.authorization).toBe(`Bearer ${own}`)
      expect(await statuses(app, await key.token({ iss: 'https://other.example' }))).toEqual([200, 401, 401, 401])
      expect(await statuses(app, own)).toEqual([200, 401, 401, 401])
    })

    test('keys that cannot be had are counted in the metrics', async () => {
      const server = await KeyServer.start([], certificate)
      const { env } = await pod(server)
      const metrics = new Metrics('1')
      const app = await buildTestApp({ routes, env: { ...env, AUTH: 'kubernetes' }, parts: { metrics } })
      expect(await statuses(app, await key.token())).toEqual([200, 503, 503, 503])
      expect(await metrics.registry.metrics()).toContain('background_errors_total{task="auth_keys"} 1\n')
    })

    test('a key server with a certificate of another authority is not believed', async () => {
      const server = await KeyServer.start([key], createCertificate())
      const { env } = await pod(server)
      const app = await build(await start(env))
      expect(await statuses(app, await key.token())).toEqual([200, 503, 503, 503])
      expect(server.fetches).toBe(0)
    })

    test('the allow list is read again when it changes', async () => {
      const server = await KeyServer.start([key], certificate)
      const { folder, env } = await pod(server)
      const file = join(folder, 'allow.json')
      const allow = (access: string) => JSON.stringify([{ namespace: 'search', serviceAccount: 'crawler', access }])
      await writeFile(file, allow('Read'))
      const app = await build(await start({ ...env, AUTH_ALLOW: file }))
      expect(await statuses(app, await key.token())).toEqual([200, 200, 403, 403])
      await writeFile(file, allow('Admin'))
      await expect.poll(async () => statuses(app, await key.token()), { timeout: 5_000 }).toEqual([200, 200, 200, 200])
    })

    test('an allow list that loses its last entry allows nobody, however the file was replaced', async () => {
      const server = await KeyServer.start([key], certificate)
      const { folder, env } = await pod(server)
      const file = join(folder, 'allow.json')
      const entry = { namespace: 'search', serviceAccount: 'crawler', access: 'Write' }
      await writeFile(file, '[]')
      const app = await build(await start({ ...env, AUTH_ALLOW: file }))
      const becomes = async (...expected: number[]) =>
        expect.poll(async () => statuses(app, await key.token()), { timeout: 10_000 }).toEqual(expected)
      await becomes(200, 200, 200, 403)
      await writeFile(file, JSON.stringify([{ ...entry, access: 'Read' }]))
      await becomes(200, 200, 403, 403)
      await rm(file)
      await writeFile(join(folder, 'next'), '[]')
      await rename(join(folder, 'next'), file)
      await becomes(200, 403, 403, 403)
      await writeFile(file, JSON.stringify([entry]))
      await becomes(200, 200, 200, 403)
    })

    test.each(['{}', '[{"namespace":"a","serviceAccount":"b","access":"Root"}]', '[{"namespace":"a"}]', 'x'])(
      'the allow list %s is a wrong configuration',
      async (content) => {
        const { folder, env } = await pod(await KeyServer.start([key], certificate))
        const file = join(folder, 'allow.json')
        await writeFile(file, content)
        await expect(start({ ...env, AUTH_ALLOW: file })).rejects.toThrow(/^AUTH_ALLOW: the file/)
      },
    )
  })
})

describe('the log', () => {
  test('holds no credential, whatever is sent', async () => {
    const { log, lines } = capturingLogger()
    const key = await SigningKey.create('key-1')
    const server = await KeyServer.start([key])
    server.status = 500
    const keys = new KeySet({
      fetch: () => fetchKeys({ url: server.url, ca: () => undefined, bearer: () => 'hunter2-bearer' }),
      log,
    })
    const rules = { keys, issuer: () => ISSUER, allowList: () => 'own namespace' as const, namespace: () => 'search' }
    const token = await key.token()
    const file = join(await temporaryFolder(), 'tokens')
    await writeFile(file, `Write ${WRITE} crawler\n`)
    const authenticators = [new ServiceAccounts(rules), new StaticTokens(file, log)]
    for (const authenticator of authenticators) {
      const app = await buildTestApp({ routes, parts: { authenticator, log } })
      for (const credential of [token, WRITE, 'hunter2-token']) {
        for (const url of ['/t/read', '/t/admin', `/nothing/${credential}`, `/t/read?access_token=${credential}`]) {
          const headers = { authorization: `Bearer ${credential}`, cookie: `session=${credential}` }
          await app.inject({ url, headers })
          await app.inject({
            method: 'POST',
            url,
            headers: { ...headers, 'content-type': credential },
            payload: credential,
          })
        }
      }
    }
    const text = lines.join('')
    expect(lines.length).toBeGreaterThan(20)
    expect(text).toContain('"caller":"crawler"')
    for (const secret of ['hunter2', WRITE, token, token.split('.')[2] ?? '']) expect(text).not.toContain(secret)
  })
})
