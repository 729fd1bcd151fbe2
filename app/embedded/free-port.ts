import { once } from 'node:events'
import { createServer } from 'node:net'

/** Above what well-known services use, below the node ports of Kubernetes (30000) and the ephemeral ports of Linux (32768). */
const FIRST_PORT = 12_000
const LAST_PORT = 29_999
const ATTEMPTS = 100
const HOST = '127.0.0.1'

/**
 * A TCP port of 127.0.0.1 that nobody listens on. It is none of the ephemeral ports: such a port, which `listen(0)` finds, may become
 * the local port of any connection as soon as its server stops, so that the server could not be started on it again.
 */
export async function findFreePort(): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const port = FIRST_PORT + Math.floor(Math.random() * (LAST_PORT - FIRST_PORT + 1))
    if (await isFree(port)) return port
  }
  throw new Error(`${ATTEMPTS} ports between ${FIRST_PORT} and ${LAST_PORT} were tried, and all are in use.`)
}

/** Whether nobody listens on this port of 127.0.0.1. */
export async function isFree(port: number): Promise<boolean> {
  const probe = createServer().listen(port, HOST)
  try {
    await once(probe, 'listening')
  } catch {
    return false
  }
  probe.close()
  await once(probe, 'close')
  return true
}
