import { decodeProtectedHeader, type JSONWebKeySet, type JWK } from 'jose'
import { beforeEach, describe, expect, test } from 'vitest'
import type { AuthLog } from '../../../app/auth/caller.ts'
import { fetchKeys } from '../../../app/auth/fetch-keys.ts'
import { KeySet } from '../../../app/auth/key-set.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { KeyServer, SigningKey } from '../../support/key-server.ts'

const MINUTE_MS = 60_000

const key = await SigningKey.create('key-1')
const other = await SigningKey.create('key-2')
const strange = await SigningKey.create('key-3')

let clock: FakeClock
let warnings: string[]
let failures: unknown[]

beforeEach(() => {
  clock = new FakeClock()
  warnings = []
  failures = []
})

const log: AuthLog = {
  info: () => {},
  warn: (fields, message) => warnings.push(`${message}: ${(fields as { error: Error }).error.message}`),
}

function keySet(server: KeyServer): KeySet {
  return new KeySet({
    fetch: () => fetchKeys({ url: server.url, ca: () => undefined, bearer: () => undefined }),
    log,
    onFailure: (error) => failures.push(error),
    now: () => clock.monotonicMs(),
  })
}

/** What becomes of a token of this key: `known`, or the code of the refusal. */
async function look(keys: KeySet, signer: SigningKey): Promise<string> {
  const [header = '', payload = '', signature = ''] = (await signer.token()).split('.')
  const input = { protected: header, payload, signature }
  return keys.find(decodeProtectedHeader(input) as { alg: string }, input).then(
    () => 'known',
    (error: { code: string }) => error.code,
  )
}

/** Keys that were fetched once. */
async function fetched(server: KeyServer): Promise<KeySet> {
  const keys = keySet(server)
  expect(await look(keys, key)).toBe('known')
  expect(server.fetches).toBe(1)
  return keys
}

describe('keys are fetched', () => {
  test('once for many requests', async () => {
    const server = await KeyServer.start([key])
    const keys = keySet(server)
    expect(await Promise.all([1, 2, 3].map(() => look(keys, key)))).toEqual(['known', 'known', 'known'])
    expect(server.fetches).toBe(1)
  })

  test('not again within ten minutes', async () => {
    const server = await KeyServer.start([key])
    const keys = await fetched(server)
    clock.advance(10 * MINUTE_MS - 1)
    expect(await look(keys, key)).toBe('known')
    expect(server.fetches).toBe(1)
  })

  test.each([10, 15, 20, 60])(
    'again in the background after %i minutes, while the last ones serve',
    async (minutes) => {
      const server = await KeyServer.start([key])
      const keys = await fetched(server)
      const { version } = keys
      server.keys = [other.publicJwk]
      server.isHanging = true
      clock.advance(minutes * MINUTE_MS)
      // The server has not answered: nothing of this can have waited for it.
      expect(await Promise.all([look(keys, key), look(keys, key)])).toEqual(['known', 'known'])
      await expect.poll(() => server.hanging).toBe(1)
      expect(keys.version).toBe(version)
      server.release()
      await expect.poll(() => keys.version).toBe(version + 1)
      expect(server.fetches).toBe(2)
      expect(await look(keys, other)).toBe('known')
      expect(await look(keys, key)).toBe('ERR_JWKS_NO_MATCHING_KEY')
    },
  )

  test('again some time after a failure, while the last ones serve', async () => {
    const server = await KeyServer.start([key])
    const keys = await fetched(server)
    server.status = 500
    clock.advance(30 * MINUTE_MS)
    expect(await look(keys, key)).toBe('known')
    await expect.poll(() => failures.length).toBe(1)
    expect(await look(keys, key)).toBe('known')
    expect(server.fetches).toBe(2)
    server.status = 200
    clock.advance(10_000)
    expect(await look(keys, key)).toBe('known')
    await expect.poll(() => keys.version).toBe(2)
    expect(warnings).toEqual([
      'the keys of the tokens cannot be fetched; the last ones stay in use: the key server answered 500',
    ])
  })
})

describe('without any keys', () => {
  test('requests wait for the server, and for no longer than it may take', async () => {
    const server = await KeyServer.start([key])
    server.isHanging = true
    const keys = keySet(server)
    const looks = Promise.all([look(keys, key), look(keys, key)])
    await expect.poll(() => server.hanging).toBe(1)
    expect(await looks).toEqual(['auth_unavailable', 'auth_unavailable'])
    expect(server.fetches).toBe(1)
    // Tried within the last second: nobody waits anew.
    expect(await look(keys, key)).toBe('auth_unavailable')
    expect(server.fetches).toBe(1)
    server.release()
    clock.advance(1_000)
    expect(await look(keys, key)).toBe('known')
  })

  test('those that are no good are none', async () => {
    const server = await KeyServer.start([])
    const keys = keySet(server)
    expect(await look(keys, key)).toBe('auth_unavailable')
    expect(failures).toHaveLength(1)
  })
})

describe('a key id that is not known', () => {
  test('has the keys fetched at once, and at most every 30 s', async () => {
    const server = await KeyServer.start([key])
    const keys = await fetched(server)
    server.keys = [key.publicJwk, other.publicJwk]
    clock.advance(30_000)
    expect(await look(keys, other)).toBe('known')
    expect(server.fetches).toBe(2)
    for (const _ of [1, 2, 3]) expect(await look(keys, strange)).toBe('ERR_JWKS_NO_MATCHING_KEY')
    expect(server.fetches).toBe(2)
    clock.advance(30_000)
    for (const _ of [1, 2, 3]) expect(await look(keys, strange)).toBe('ERR_JWKS_NO_MATCHING_KEY')
    expect(server.fetches).toBe(3)
  })

  test('makes nobody else wait while the server hangs, and waits a second at most itself', async () => {
    const server = await KeyServer.start([key])
    const keys = await fetched(server)
    server.isHanging = true
    clock.advance(MINUTE_MS)
    const first = look(keys, strange)
    await expect.poll(() => server.hanging).toBe(1)
    expect(await look(keys, key)).toBe('known')
    expect(await first).toBe('auth_unavailable')
    // The fetch ends by itself after five seconds: it was not waited for.
    expect(server.hanging).toBe(1)
    clock.advance(1_000)
    expect(await Promise.all(Array.from({ length: 100 }, () => look(keys, strange)))).toEqual(
      Array(100).fill('auth_unavailable'),
    )
    expect(server.hanging).toBe(1)
    expect(server.fetches).toBe(2)
    server.release()
    await expect.poll(() => keys.version).toBe(2)
  })

  test('is none where only the algorithm differs: nothing is fetched for it', async () => {
    const server = await KeyServer.start([key])
    const keys = await fetched(server)
    clock.advance(MINUTE_MS)
    await expect(keys.find({ alg: 'RS256', kid: key.id }, { payload: '', signature: '' })).rejects.toMatchObject({
      code: 'ERR_JWKS_NO_MATCHING_KEY',
    })
    expect(server.fetches).toBe(1)
  })
})

describe('a key set that is no good replaces no good keys, and log and metric hear of it', () => {
  const twice: JWK[] = [key.publicJwk, { ...other.publicJwk, kid: key.id }]
  const broken = { ...other.publicJwk, x: 'AA' }
  test.each<[string, unknown]>([
    ['no keys', { keys: [] }],
    ['a key id twice', { keys: twice }],
    ['only a key that cannot be read', { keys: [broken] }],
    ['only a secret', { keys: [{ kty: 'oct', k: 'AAAA', kid: 'key-1' }] }],
    ['keys that are no objects', { keys: [null, 7] }],
    ['no list', { keys: { length: 1 } }],
    ['null', null],
  ])('%s', async (_what, answer) => {
    const server = await KeyServer.start([key])
    const keys = await fetched(server)
    server.answer = answer as JSONWebKeySet
    clock.advance(15 * MINUTE_MS)
    await keys.keepFresh()
    await expect.poll(() => failures.length).toBe(1)
    expect(warnings).toEqual([expect.stringContaining('the last ones stay in use')])
    expect(await look(keys, key)).toBe('known')
    expect(keys.version).toBe(1)
  })

  test('one key that cannot be read beside others harms none of them', async () => {
    const server = await KeyServer.start([key])
    server.answer = { keys: [key.publicJwk, broken] }
    expect(await look(keySet(server), key)).toBe('known')
  })
})
