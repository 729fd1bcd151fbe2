import { describe, expect, test } from 'vitest'
import type { KubeObject } from '../../../operator/api/object.ts'
import { Cache } from '../../../operator/kube/cache.ts'
import type { KubeClient } from '../../../operator/kube/client.ts'
import { SecretReadings } from '../../../operator/reconcile/secret-readings.ts'

const AT = { namespace: 'search', name: 'crawl-app', key: 'uri' }
const { signal } = new AbortController()

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

  read(at = AT) {
    const get = async () => {
      this.reads += 1
      return this.#secret
    }
    const client = { get } as unknown as KubeClient
    return this.readings.read({ client, caches: { secrets: this.secrets } }, at, signal)
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
