import { createHash } from 'node:crypto'
import { createServer, type Server } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { Refusal } from '../refusal.ts'

const RETRY_MS = 200

/** Does `work` while no other process works on `folder`, and refuses where one does. The kernel frees the lock of a killed process. */
export async function withLock<T>(folder: string, work: () => Promise<T>): Promise<T> {
  const server = await listen(addressOf(folder))
  if (!server) {
    throw new Refusal('Another command works on this cluster (up or down): wait until it has ended, or end it.')
  }
  return holding(server, work)
}

/** The same, but waits for its turn. */
export async function inTurn<T>(folder: string, work: () => Promise<T>): Promise<T> {
  for (;;) {
    const server = await listen(addressOf(folder))
    if (server) return holding(server, work)
    await delay(RETRY_MS)
  }
}

async function holding<T>(server: Server, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } finally {
    server.close()
  }
}

/** A socket without a file. */
function addressOf(folder: string): string {
  return `\0sonoma-cluster-${createHash('sha256').update(folder).digest('hex').slice(0, 16)}`
}

function listen(address: string): Promise<Server | undefined> {
  const server = createServer()
  return new Promise((resolve) => {
    server.once('error', () => resolve(undefined))
    server.listen(address, () => resolve(server))
  })
}
