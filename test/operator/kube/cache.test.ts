import { describe, expect, test } from 'vitest'
import type { KubeObject } from '../../../operator/api/object.ts'
import { Cache, type Change } from '../../../operator/kube/cache.ts'

function object(key: string, resourceVersion: string, labels: Record<string, string> = {}): KubeObject {
  const [namespace = '', name = ''] = key.split('/')
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace, name, resourceVersion, labels } }
}

function start(scopes = ['']) {
  const cache = new Cache<KubeObject>(scopes, {
    app: ({ metadata }) => (metadata.labels?.app ? [metadata.labels.app] : []),
  })
  const seen: string[] = []
  cache.onChange(() => {
    throw new Error('a handler that is broken')
  })
  cache.onChange(({ before, after }: Change<KubeObject>) => {
    const name = (after ?? before)?.metadata.name
    seen.push(`${name} ${before?.metadata.resourceVersion ?? '-'} ${after?.metadata.resourceVersion ?? '-'}`)
  })
  return { cache, seen }
}

describe('the cache', () => {
  test('a new list replaces everything: what is not in it is gone, what is the same is not told', () => {
    const { cache, seen } = start()
    cache.replace('', [object('n/a', '1'), object('n/b', '2')])
    cache.set(object('n/c', '3'))
    expect(cache.hasSynced).toBe(true)
    seen.length = 0
    cache.replace('', [object('n/b', '2'), object('n/c', '4')])
    expect(seen).toEqual(['a 1 -', 'c 3 4'])
    expect(cache.list().map(({ metadata }) => metadata.name)).toEqual(['b', 'c'])
    expect([cache.size, cache.get('n/a'), cache.get('n/b')?.metadata.name]).toEqual([2, undefined, 'b'])
  })

  test('a list of one namespace leaves the others alone, and all of them have to be there', () => {
    const { cache } = start(['one', 'two'])
    cache.replace('one', [object('one/a', '1')])
    expect(cache.hasSynced).toBe(false)
    cache.replace('two', [object('two/a', '2')])
    cache.replace('one', [])
    expect(cache.hasSynced).toBe(true)
    expect(cache.list().map(({ metadata }) => metadata.namespace)).toEqual(['two'])
    expect(cache.list('one')).toEqual([])
  })

  test('an index follows changed labels and deletes', () => {
    const { cache } = start()
    cache.set(object('n/a', '1', { app: 'x' }))
    cache.set(object('n/b', '2', { app: 'x' }))
    cache.set(object('n/a', '3', { app: 'y' }))
    const names = (value: string) => cache.byIndex('app', value).map(({ metadata }) => metadata.name)
    expect([names('x'), names('y'), names('z')]).toEqual([['b'], ['a'], []])
    cache.delete('n/b')
    cache.delete('n/b')
    expect([names('x'), cache.size]).toEqual([[], 1])
    expect(() => cache.byIndex('colour', 'x')).toThrow("no index 'colour'")
  })
})
