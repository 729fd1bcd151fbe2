import type { ServerResponse } from 'node:http'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { KubeObject } from '../../../operator/api/object.ts'
import { Cache } from '../../../operator/kube/cache.ts'
import { KubeClient } from '../../../operator/kube/client.ts'
import { Reflector, type ReflectorTiming, type RoundEnd } from '../../../operator/kube/reflector.ts'
import { SECRETS } from '../../../operator/kube/resources.ts'
import { parseEvents, type WatchEvent } from '../../../operator/kube/watch.ts'
import { SystemClock } from '../../../operator/process/system-clock.ts'
import { eventually } from '../../support/eventually.ts'
import { answer, FaultServer, refuse } from './fault-server.ts'

/** One for each test: what a stopped reflector still had on its way must not reach the next one. */
let server: FaultServer
/** What each watch answers, in the order in which they are opened; the last one stays open. */
let watches: ((response: ServerResponse) => void)[] = []
let lists = 0
let names: string[] = []
const opened: URL[] = []

const object = (name: string, version: number) => ({
  metadata: { name, namespace: 'n', resourceVersion: String(version) },
})
const line = (type: string, name: string, version: number) =>
  `${JSON.stringify({ type, object: object(name, version) })}\n`

/** An open watch that has told of something. */
function tell(response: ServerResponse, ...lines: string[]): void {
  response.writeHead(200)
  response.write(lines.join(''))
}

afterEach(() => server.stop())
beforeEach(async () => {
  server = new FaultServer()
  watches = []
  lists = 0
  names = ['a']
  opened.length = 0
  server.handler = (request, response) => {
    const url = new URL(request.url ?? '', server.url)
    if (!url.searchParams.has('watch')) {
      lists += 1
      const items = names.map((name) => object(name, 10 * lists))
      return answer(response, 200, { metadata: { resourceVersion: String(10 * lists) }, items })
    }
    opened.push(url)
    const next = watches.shift()
    if (next) next(response)
    else response.writeHead(200).flushHeaders()
  }
  await server.start()
})

function start(timing: Partial<ReflectorTiming> = {}) {
  const cache = new Cache<KubeObject>([''])
  const ends: RoundEnd[] = []
  const reflector = new Reflector<KubeObject>({
    client: new KubeClient(server.transport()),
    resource: SECRETS,
    cache,
    clock: new SystemClock(),
    random: () => 0,
    scope: '',
    metadataOnly: true,
    timing: { backOff: { baseMs: 20, maxMs: 100, jitter: 0 }, ...timing },
    onRoundEnd: (end) => ends.push(end),
  })
  reflector.start()
  const held = () => cache.list().map(({ metadata }) => `${metadata.name} ${metadata.resourceVersion}`)
  return { reflector, ends, held }
}

describe('a reflector and a server in trouble', () => {
  test('asks for bookmarks, a timeout and its place; a reset is taken up after the last event', async () => {
    watches = [(response) => tell(response, line('ADDED', 'b', 11), line('BOOKMARK', '', 15))]
    const { reflector, held, ends } = start()
    await eventually(() => held().length === 2)
    server.reset()
    await eventually(() => opened.length === 2)
    const asked = opened.map(({ searchParams }) => [
      searchParams.get('resourceVersion'),
      searchParams.get('timeoutSeconds'),
    ])
    expect(asked).toEqual([
      ['10', '300'],
      ['15', '300'],
    ])
    expect(opened[0]?.searchParams.get('allowWatchBookmarks')).toBe('true')
    expect([lists, ends.map(({ reason }) => reason)]).toEqual([1, ['error']])
    await reflector.stop()
  })

  test.each([
    [
      'in the stream',
      (response: ServerResponse) =>
        response.writeHead(200).end(`${JSON.stringify({ type: 'ERROR', object: { code: 410, reason: 'Expired' } })}\n`),
    ],
    ['as an answer', (response: ServerResponse) => refuse(response, 410, 'Expired')],
  ])('410 %s leads to a new list, which drops what is gone', async (_where, gone) => {
    names = ['a', 'b']
    // Changed here: the new list follows at once.
    watches = [
      (response) => {
        names = ['c']
        gone(response)
      },
    ]
    const { reflector, held } = start()
    await eventually(() => lists === 2)
    await eventually(() => expect(held()).toEqual(['c 20']))
    // One that is on its way would arrive in the next test.
    await eventually(() => opened.length === 2)
    await reflector.stop()
  })

  test('silence is cut and taken up, without a new list', async () => {
    const { reflector, ends } = start({ silenceMs: 150 })
    await eventually(() => opened.length >= 2)
    expect(ends[0]).toMatchObject({ resource: 'secrets', reason: 'silent' })
    expect(lists).toBe(1)
    await reflector.stop()
  })

  test('garbage, and a line that is cut off, are not taken for events', async () => {
    watches = [
      (response) => response.writeHead(200).end('<html>502</html>\n'),
      (response) => response.writeHead(200).end(line('ADDED', 'b', 11).slice(0, 40)),
      (response) => tell(response, line('ADDED', 'b', 12)),
    ]
    const { reflector, held, ends } = start()
    await eventually(() => held().includes('b 12'))
    expect(ends[0]?.error).toMatchObject({ reason: 'Garbled' })
    expect(opened.map(({ searchParams }) => searchParams.get('resourceVersion'))).toEqual(['10', '10', '10'])
    await reflector.stop()
  })

  test('429 is waited for as long as it says', async () => {
    watches = [(response) => refuse(response, 429, 'TooManyRequests', { 'retry-after': '1' })]
    const { reflector, ends } = start()
    await eventually(() => ends.length === 1)
    const refusedAt = performance.now()
    await eventually(() => opened.length === 2)
    expect(performance.now() - refusedAt).toBeGreaterThan(900)
    await reflector.stop()
  })
})

test('events are read whatever the pieces in which they arrive, also in the middle of a character', async () => {
  const text = line('ADDED', 'grün-😀', 1) + line('DELETED', 'b', 2)
  const bytes = new TextEncoder().encode(text)
  async function* pieces(size: number) {
    for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
  }
  for (const size of [1, 3, 7, 64, bytes.length]) {
    const events: WatchEvent<KubeObject>[] = []
    for await (const event of parseEvents<KubeObject>(pieces(size))) events.push(event)
    expect(events).toMatchObject([
      { type: 'ADDED', object: { metadata: { name: 'grün-😀' } } },
      { type: 'DELETED', object: { metadata: { name: 'b' } } },
    ])
  }
})
