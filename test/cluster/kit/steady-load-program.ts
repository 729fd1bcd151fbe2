/**
 * Runs in a client's pod, bundled into one file. Arguments: the address of the service, a file, seconds. Sends requests from
 * several workers, one after the other, until the file is there, or for so many seconds at most. Prints how many there were,
 * from when to when, and every one that failed.
 */
import { existsSync, readFileSync } from 'node:fs'
import type { SteadyLoad } from './steady-load.ts'

const WORKERS = 3
const MOST_FAILURES = 20
const TOKEN = '/var/run/storage/token'

const [url = '', enough = '', seconds = '10'] = process.argv.slice(2)
const deadline = performance.now() + Number(seconds) * 1_000
const load: SteadyLoad = { requests: 0, startedAtMs: Date.now(), endedAtMs: 0, failed: 0, failures: [] }
let count = 0

async function send(path: string, body: object): Promise<void> {
  load.requests += 1
  const headers = {
    authorization: `Bearer ${readFileSync(TOKEN, 'utf8').trim()}`,
    'content-type': 'application/json',
  }
  try {
    const answer = await fetch(`${url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
    const text = await answer.text()
    if (!answer.ok) note(`${path} ${answer.status} ${text.slice(0, 200)}`)
  } catch (error) {
    note(`${path} ${String((error as Error).cause ?? error)}`)
  }
}

/** The first ones, and the last. */
function note(what: string): void {
  load.failed += 1
  load.failures.splice(MOST_FAILURES - 1, 1, { atMs: Date.now(), what })
}

async function work(worker: number): Promise<void> {
  while (performance.now() < deadline && !existsSync(enough)) {
    count += 1
    const id = `${worker}-${count}`
    await send('/api/documents', { documents: [{ url: `https://example.org/${id}`, metadata: { size: count } }] })
    await send('/api/queue', { operation: 'push', queue: 'load', items: [{ id }] })
    await send('/api/queue', { operation: 'pop', queue: 'load', items: [], count: 1 })
  }
}

await Promise.all(Array.from({ length: WORKERS }, (_, worker) => work(worker)))
console.log(JSON.stringify({ ...load, endedAtMs: Date.now() }))
