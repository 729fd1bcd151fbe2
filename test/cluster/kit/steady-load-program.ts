/**
 * Runs in a client's pod, bundled into one file. Arguments: the address of the service, seconds. Sends requests from several
 * workers for so long, one after the other, and prints how many there were and every one that failed.
 */
import { readFileSync } from 'node:fs'

const WORKERS = 3
const TOKEN = '/var/run/storage/token'

const [url = '', seconds = '10'] = process.argv.slice(2)
const deadline = performance.now() + Number(seconds) * 1_000
const failures: string[] = []
let requests = 0
let count = 0

async function send(path: string, body: object): Promise<void> {
  requests += 1
  const headers = {
    authorization: `Bearer ${readFileSync(TOKEN, 'utf8').trim()}`,
    'content-type': 'application/json',
  }
  try {
    const answer = await fetch(`${url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
    const text = await answer.text()
    if (!answer.ok) failures.push(`${new Date().toISOString()} ${path} ${answer.status} ${text.slice(0, 200)}`)
  } catch (error) {
    failures.push(`${new Date().toISOString()} ${path} ${String((error as Error).cause ?? error)}`)
  }
}

async function work(worker: number): Promise<void> {
  while (performance.now() < deadline) {
    count += 1
    const id = `${worker}-${count}`
    await send('/api/documents', { documents: [{ url: `https://example.org/${id}`, metadata: { size: count } }] })
    await send('/api/queue', { operation: 'push', queue: 'load', items: [{ id }] })
    await send('/api/queue', { operation: 'pop', queue: 'load', items: [], count: 1 })
  }
}

await Promise.all(Array.from({ length: WORKERS }, (_, worker) => work(worker)))
console.log(JSON.stringify({ requests, failed: failures.length, failures: failures.slice(0, 20) }))
