import { once } from 'node:events'
import { type ClientRequest, request } from 'node:http'
import { describe, expect, test } from 'vitest'
import type { Hold } from '../../../app/byte-budget.ts'
import { loadConfig } from '../../../app/config/config.ts'
import { listen } from '../../../app/listen.ts'
import { Lifecycle } from '../../../app/plugins/probes/lifecycle.ts'
import { buildApp } from '../../../app/server.ts'
import { silentObserver } from '../../../app/store/observer.ts'
import { createStores, type Stores } from '../../../app/stores.ts'
import { createTestDatabase } from '../../support/database.ts'
import { atEndOfFile } from '../../support/end-of-file.ts'
import { eventually } from '../../support/eventually.ts'
import { linesOf, pages } from '../store/documents/import/import-client.ts'

const IDLE_MS = 1_000

/** The interface on a real port, with an idle timeout that a test can wait for. */
class Place {
  readonly lifecycle = new Lifecycle()
  readonly stores: Stores
  url = ''

  static async make(): Promise<Place> {
    const database = await createTestDatabase()
    const loaded = loadConfig({ DATABASE_URL: database.url, AUTH: 'none', LOG_LEVEL: 'off' })
    const config = { ...loaded, timeouts: { ...loaded.timeouts, idleMs: IDLE_MS } }
    const place = new Place(createStores(config, silentObserver))
    const app = await buildApp(config, place.stores, { lifecycle: place.lifecycle })
    await app.ready()
    atEndOfFile(async () => {
      app.server.closeAllConnections()
      await app.close()
      await place.stores.database.close()
    })
    place.url = await listen(app.server, '127.0.0.1', 0)
    return place
  }

  constructor(stores: Stores) {
    this.stores = stores
  }

  /** Takes the room of all imports. */
  async fill(): Promise<Hold> {
    const { memory } = this.stores
    return memory.hold(memory.maxBytes / 2, new AbortController().signal)
  }

  /** Sends lines, and ends the body unless told otherwise. */
  send(lines: string, isWhole = true): { sent: ClientRequest; lastLine: Promise<unknown> } {
    const headers = { 'content-type': 'application/x-ndjson' }
    const sent = request(`${this.url}/api/documents/import`, { method: 'POST', headers, agent: false })
    if (isWhole) sent.end(lines)
    else sent.write(lines)
    const lastLine = answerOf(sent)
    lastLine.catch(() => undefined)
    return { sent, lastLine }
  }

  async untilAllIsGivenBack(): Promise<void> {
    await eventually(() => expect(this.stores.memory).toMatchObject({ heldBytes: 0, waiting: 0 }))
  }

  async untilWaiting(count: number): Promise<void> {
    await eventually(() => expect(this.stores.memory.waiting).toBe(count))
  }
}

async function answerOf(sent: ClientRequest): Promise<unknown> {
  const [answer] = await once(sent, 'response')
  let text = ''
  for await (const piece of answer.setEncoding('utf8')) text += piece
  return JSON.parse(text.trim().split('\n').at(-1) ?? '')
}

/** Long enough for every timer of the service that counts idle time to have gone off, three times. */
async function idleTimePasses(): Promise<void> {
  const startedAt = performance.now()
  await eventually(() => performance.now() - startedAt > 3 * IDLE_MS)
}

describe('imports for which there is no room', () => {
  test('wait, and none fails', async () => {
    const place = await Place.make()
    const hold = await place.fill()
    const imports = Array.from({ length: 5 }, (_, index) => place.send(linesOf(pages(10, 10 * index))))
    await place.untilWaiting(5)
    await idleTimePasses()
    expect(place.stores.memory.waiting).toBe(5)
    hold.release()
    for (const { lastLine } of imports) expect(await lastLine).toMatchObject({ stored: 10, committedLines: 10 })
    await place.untilAllIsGivenBack()
  })

  test('end with an outcome when the service stops', async () => {
    const place = await Place.make()
    const hold = await place.fill()
    const { lastLine, sent } = place.send(linesOf(pages(3)), false)
    await place.untilWaiting(1)
    place.lifecycle.beginDrain()
    // What was in hand is stored; nothing more was read.
    expect(await lastLine).toMatchObject({ code: 'stopping', stored: 3, failed: 0, committedLines: 3 })
    hold.release()
    sent.destroy()
    await place.untilAllIsGivenBack()
  })

  test('do not read, and hold nothing when the client goes away', async () => {
    const place = await Place.make()
    const hold = await place.fill()
    const { sent } = place.send(linesOf(pages(1_000)), false)
    await place.untilWaiting(1)
    // More than all buffers between the two.
    const more = Buffer.from(linesOf(pages(100_000)))
    sent.write(more)
    await idleTimePasses()
    expect(sent.writableLength).toBeGreaterThan(more.length / 4)
    sent.on('error', () => undefined)
    sent.destroy()
    // Who does not read learns of it when it is its turn.
    hold.release()
    await place.untilAllIsGivenBack()
  })
})

test('a client that is silent when it has to send is cut off', async () => {
  const place = await Place.make()
  const { lastLine } = place.send(linesOf(pages(1)), false)
  await expect(lastLine).rejects.toMatchObject({ code: 'ECONNRESET' })
  await place.untilAllIsGivenBack()
})
