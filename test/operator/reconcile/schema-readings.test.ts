import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fetchHealth, SchemaReadings } from '../../../operator/reconcile/schema-readings.ts'
import { settled } from '../../support/fake-clock.ts'
import { answer, FaultServer } from '../kube/fault-server.ts'
import { World } from '../plan/world.ts'

const HEALTH = { status: 'ok', database: { serverVersion: '17.6' }, schema: { drift: 'ok' } }
const KEY = 'search/crawl'

/** Readings of one instance that serves; each request waits until it is answered. */
function start() {
  const world = new World()
  world.settle()
  const [requests, told]: [((answer: Promise<unknown>) => void)[], string[]] = [[], []]
  const readings = new SchemaReadings({
    onReading: (key) => told.push(key),
    fetchHealth: () => new Promise((resolve) => requests.push(resolve)),
  })
  const read = () => readings.read(world.observed())
  const answer = (body: Promise<unknown>) => {
    requests.pop()?.(body)
    return settled()
  }
  return { world, readings, requests, told, read, answer }
}

describe('what a service says of its schema', () => {
  test('is asked for beside the reconcile, once at a time, and told when it is there', async () => {
    const { requests, told, read, answer } = start()
    expect([read(), read()]).toEqual([undefined, undefined])
    expect(requests).toHaveLength(1)
    await answer(Promise.resolve(HEALTH))
    expect(told).toEqual([KEY])
    expect(read()).toMatchObject({ drift: 'none', serverVersion: '17.6' })
    expect(requests).toHaveLength(0)
  })

  test('is asked for again after its interval, and sooner where nobody has answered', async () => {
    const { world, requests, read, answer } = start()
    read()
    await answer(Promise.reject(new Error('connect ECONNREFUSED')))
    expect(read()).toMatchObject({ drift: 'unknown' })
    expect(requests).toHaveLength(0)
    world.pass(10)
    expect(read()).toMatchObject({ drift: 'unknown' })
    await answer(Promise.resolve(HEALTH))
    world.pass(599)
    expect(read()).toMatchObject({ drift: 'none' })
    expect(requests).toHaveLength(0)
    world.pass(1)
    read()
    expect(requests).toHaveLength(1)
  })

  test('is asked for after a migration, and not while the instance is paused', async () => {
    const { world, requests, read, answer } = start()
    read()
    await answer(Promise.resolve(HEALTH))
    world.change({ image: { tag: '2' } })
    world.settle()
    world.change({ paused: true })
    read()
    expect(requests).toHaveLength(0)
    world.change({ paused: false })
    read()
    expect(requests).toHaveLength(1)
  })

  test('is dropped where the instance is gone by the time of the answer', async () => {
    const { readings, told, read, answer } = start()
    read()
    readings.keepOnly(new Set())
    await answer(Promise.resolve(HEALTH))
    expect(told).toEqual([])
  })
})

describe('the body of an answer', () => {
  const server = new FaultServer()
  const ask = () => fetchHealth(server.url, new AbortController().signal)
  const padded = (bytes: number) => ({ ...HEALTH, padding: 'x'.repeat(bytes) })

  beforeAll(() => server.start())
  afterAll(() => server.stop())

  test('is read up to 64 KiB, whatever its status', async () => {
    const size = 65_536 - JSON.stringify(padded(0)).length
    server.handler = (_request, response) => answer(response, 503, padded(size))
    expect(await ask()).toMatchObject(HEALTH)
    server.handler = (_request, response) => answer(response, 200, padded(size + 1))
    await expect(ask()).rejects.toThrow('longer than 65536 bytes')
  })

  test('that has no end is given up, and its connection closed', async () => {
    const closed = new Promise((resolve) => {
      server.handler = (_request, response) => {
        const write = () => {
          while (!response.destroyed && response.write(Buffer.alloc(16_384, ' ')));
        }
        response.on('drain', write).on('close', resolve)
        write()
      }
    })
    await expect(ask()).rejects.toThrow('longer than 65536 bytes')
    await closed
  })
})
