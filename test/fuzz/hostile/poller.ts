/** A thread that asks `/livez` every 50 ms on a connection of its own, so that what the attacker does is not measured. */
import { Agent, get } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { parentPort, workerData } from 'node:worker_threads'

/** How often it asked, the longest wait for an answer, and what went wrong. */
export type Polls = { count: number; longestMs: number; failures: string[] }

const EVERY_MS = 50
const TIMEOUT_MS = 60_000

let polls: Polls = { count: 0, longestMs: 0, failures: [] }
let askedAt = 0

parentPort?.on('message', () => {
  // A wait that is not over counts as well.
  const longestMs = Math.max(polls.longestMs, askedAt > 0 ? performance.now() - askedAt : 0)
  parentPort?.postMessage({ ...polls, longestMs })
  polls = { count: 0, longestMs: 0, failures: [] }
})

const agent = new Agent({ keepAlive: true, maxSockets: 1 })
for (;;) {
  askedAt = performance.now()
  const failure = await ask(workerData as string)
  polls.count += 1
  polls.longestMs = Math.max(polls.longestMs, performance.now() - askedAt)
  askedAt = 0
  if (failure !== undefined) polls.failures.push(failure)
  await delay(EVERY_MS)
}

function ask(url: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const request = get(url, { agent, timeout: TIMEOUT_MS }, (response) => {
      response.resume()
      response.on('end', () => resolve(response.statusCode === 200 ? undefined : `status ${response.statusCode}`))
      response.on('error', (error) => resolve(String(error)))
    })
    request.on('timeout', () => request.destroy(new Error(`No answer within ${TIMEOUT_MS} ms.`)))
    request.on('error', (error) => resolve(String(error)))
  })
}
