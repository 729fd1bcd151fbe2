import { describe, expect, test } from 'vitest'
import type { KubeObject } from '../../../operator/api/object.ts'
import { CHILD_ANNOTATIONS } from '../../../operator/desired/annotations.ts'
import { Cache } from '../../../operator/kube/cache.ts'
import type { KubeClient } from '../../../operator/kube/client.ts'
import type { Deployment } from '../../../operator/plan/live-objects.ts'
import { nameSecret } from '../../../operator/plan/served-secret.ts'
import { formerVersion, SecretReadings } from '../../../operator/reconcile/secret-readings.ts'

const AT = { namespace: 'search', name: 'crawl-app', key: 'uri' }
const { signal } = new AbortController()
const HASH_KEY = 'a2V5'

/** One Secret, its metadata in the cache as a watch would bring it, and how often it was read. */
class Cluster {
  readonly secrets = new Cache<KubeObject>([''])
  readonly readings = new SecretReadings()
  reads = 0
  #secret: (KubeObject & { data: Record<string, string> }) | undefined

  write(resourceVersion: string, data: Record<string, string>): void {
    const metadata = { namespace: AT.namespace, name: AT.name, uid: 'uid-1', resourceVersion }
    const encoded = Object.entries(data).map(([key, text]) => [key, Buffer.from(text).toString('base64')])
    this.#secret = { apiVersion: 'v1', kind: 'Secret', metadata, data: Object.fromEntries(encoded) }
  }

  watch(): void {
    if (this.#secret) this.secrets.set({ apiVersion: 'v1', kind: 'Secret', metadata: this.#secret.metadata })
  }

  read(at: { namespace: string; name: string; key?: string } = AT, hashKey: string | undefined = HASH_KEY) {
    return this.readings.read(this.parts(), at, { hashKey, signal })
  }

  parts() {
    const get = async () => {
      this.reads += 1
      return this.#secret
    }
    const client = { get } as unknown as KubeClient
    return { client, caches: { Secret: this.secrets } }
  }
}

describe('the Secret of an external database', () => {
  test('is read once in each of its versions', async () => {
    const cluster = new Cluster()
    cluster.write('1', { uri: 'postgresql://a@db:6432/a' })
    cluster.watch()
    const first = await cluster.read()
    expect(first).toMatchObject({ state: 'usable', port: 6432 })
    expect(await cluster.read()).toBe(first)
    expect(cluster.reads).toBe(1)
    cluster.write('2', { uri: 'postgresql://b@db:6432/a' })
    expect(await cluster.read()).toBe(first)
    cluster.watch()
    expect(await cluster.read()).toMatchObject({ state: 'usable' })
    expect(await cluster.read()).not.toEqual(first)
    expect(cluster.reads).toBe(2)
  })

  test('is the same as long as its value is, whoever writes to the Secret, and is read once for each such write', async () => {
    const cluster = new Cluster()
    const versions = ['1', '2', '3']
    const digests: unknown[] = []
    for (const version of versions) {
      cluster.write(version, { uri: 'postgresql://a:word@db/a', [`other-${version}`]: version })
      cluster.watch()
      digests.push((await cluster.read()) as { digest: string })
      await cluster.read()
    }
    expect(digests).toMatchObject(versions.map(() => ({ digest: (digests[0] as { digest: string }).digest })))
    expect(cluster.reads).toBe(3)
  })

  test('is hashed with a key, so that nobody can try passwords against the hash', async () => {
    const cluster = new Cluster()
    cluster.write('1', { uri: 'postgresql://a:word@db/a' })
    cluster.watch()
    const [one, other] = [await cluster.read(), await cluster.read(AT, 'other')]
    expect(one).toMatchObject({ state: 'usable' })
    expect(one).not.toEqual(other)
    expect(await new Cluster().readings.readHashKey(cluster.parts(), AT, signal)).toBeUndefined()
  })

  test('that the cache does not know is asked for each time, since it may have come meanwhile', async () => {
    const cluster = new Cluster()
    expect(await cluster.read()).toEqual({ state: 'missing' })
    cluster.write('1', { uri: 'postgres://db/a' })
    expect(await cluster.read()).toMatchObject({ state: 'usable' })
    expect(cluster.reads).toBe(2)
  })

  test('whose password cuts the address short is invalid: it says what to do, and no piece of the password', async () => {
    const cluster = new Cluster()
    for (const password of ['p@swordfish/x', '12/swordfish', 'swordfish#x']) {
      cluster.write(password, { uri: `postgresql://role:${password}@db/a` })
      const state = await cluster.read()
      expect(state).toMatchObject({ state: 'invalid', problem: expect.stringContaining('percent-encoded') })
      expect(JSON.stringify(state)).not.toContain('swordfish')
    }
  })

  test('is told apart by its keys, and leaves nothing of its content behind', async () => {
    const cluster = new Cluster()
    cluster.write('1', { uri: 'postgresql://role:word@db/a', other: 'mysql://role:word@db/a' })
    cluster.watch()
    const states = [
      await cluster.read(),
      await cluster.read({ ...AT, key: 'other' }),
      await cluster.read({ ...AT, key: 'no' }),
    ]
    expect(states).toMatchObject([{ state: 'usable' }, { state: 'invalid' }, { state: 'keyMissing' }])
    expect(JSON.stringify(states)).not.toContain('word')
  })
})

describe('the credentials of a managed database', () => {
  const AT_DB = { namespace: AT.namespace, name: AT.name }
  const content = { uri: 'u', username: 'n', password: 'p', 'owner-uri': 'ou', 'owner-password': 'op' }
  const digestOf = async (cluster: Cluster) => {
    cluster.watch()
    return (await cluster.read(AT_DB)) as { state: string; digest: string }
  }

  test('change with what the server and its clients use, and with nothing else', async () => {
    const cluster = new Cluster()
    cluster.write('1', content)
    const { state, digest } = await digestOf(cluster)
    expect(state).toBe('usable')
    cluster.write('2', { ...content, note: 'x' })
    expect(await digestOf(cluster)).toMatchObject({ digest })
    cluster.write('3', { ...content, 'owner-password': 'new' })
    expect((await digestOf(cluster)).digest).not.toBe(digest)
  })
})

describe('the word that pods carry for their credentials', () => {
  const podsWith = (word: string, note?: string): Deployment => ({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'crawl-api', annotations: note ? { [CHILD_ANNOTATIONS.databaseSecretHash]: note } : {} },
    spec: { template: { metadata: { annotations: { [CHILD_ANNOTATIONS.databaseSecret]: word } } } },
  })
  const at = (resourceVersion: string) => ({ metadata: { name: 'crawl-app', uid: 'uid-1', resourceVersion } })
  const former = (resourceVersion: string) =>
    formerVersion({ apiVersion: 'v1', kind: 'Secret', ...at(resourceVersion) })

  test('is the hash', () => {
    expect(nameSecret({ digest: 'd1', former: 'f1' }, undefined)).toEqual({ version: 'd1' })
    expect(nameSecret({ digest: 'd2', former: 'f1' }, podsWith('d1'))).toEqual({ version: 'd2' })
  })

  test('stays what an earlier version of the operator made it, until the content changes', () => {
    const word = former('7')
    expect(nameSecret({ digest: 'd1', former: former('7') }, podsWith(word))).toEqual({ version: word, digest: 'd1' })
    const noted = podsWith(word, 'd1')
    expect(nameSecret({ digest: 'd1', former: former('8') }, noted)).toEqual({ version: word, digest: 'd1' })
    expect(nameSecret({ digest: 'd2', former: former('9') }, noted)).toEqual({ version: 'd2' })
    expect(nameSecret({ digest: 'd1', former: former('8') }, podsWith(word))).toEqual({ version: 'd1' })
  })
})
