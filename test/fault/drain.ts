import { setTimeout as delay } from 'node:timers/promises'
import { send } from './client.ts'
import { LINK_QUEUE, REMOVING_QUEUE, WORK_QUEUE } from './history.ts'
import type { Recorder } from './load.ts'

type Queue = { sizes: { waiting: number; delayed: number; leased: number; done: number; failed: number } }

type Stored = { url: string; metadata: { version: number } }

const TIMEOUT_MS = 60_000
const COUNT = 200

/** Takes and acks everything that is left in all queues; fails when they are not empty after a minute. */
export async function drain(recorder: Recorder, url: string): Promise<void> {
  const deadline = Date.now() + TIMEOUT_MS
  for (const queue of [WORK_QUEUE, LINK_QUEUE, REMOVING_QUEUE]) {
    while ((await left(url, queue)) > 0) {
      if (Date.now() > deadline) throw new Error(`${await left(url, queue)} items stay in the queue ${queue}.`)
      await takeSome(recorder, queue)
    }
  }
}

async function takeSome(recorder: Recorder, queue: string): Promise<void> {
  const lease = queue === REMOVING_QUEUE ? {} : { leaseSeconds: 30 }
  const items = await recorder.pop(queue, { count: COUNT, ...lease })
  const leased = items.flatMap(({ receipt }) => receipt ?? [])
  await Promise.all(leased.map((receipt) => recorder.settle(queue, { operation: 'ack', receipt })))
  if (items.length === 0) await delay(50)
}

/** Items that are not settled, wherever they are. */
async function left(url: string, queue: string): Promise<number> {
  const answer = await send<Queue>('GET', `${url}/api/queues/${queue}`)
  if (!answer) throw new Error('The service does not answer any more.')
  return Object.values(answer.sizes).reduce((sum, size) => sum + size, 0)
}

/** The stored version of each of these documents that is stored. */
export async function storedVersions(url: string, documents: string[]): Promise<Map<string, number>> {
  const versions = new Map<string, number>()
  for (let at = 0; at < documents.length; at += COUNT) {
    const urls = documents.slice(at, at + COUNT)
    const answer = await send<{ documents: Stored[] }>('POST', `${url}/api/documents/lookup`, { urls })
    if (!answer) throw new Error('The service does not answer any more.')
    for (const document of answer.documents) versions.set(document.url, document.metadata.version)
  }
  return versions
}
