/**
 * Runs in a client's pod, bundled into one file. Arguments: the address of the service, a seed, seconds. Loads the service
 * from several workers for so long, takes everything back, and prints what was broken of its promises.
 */
import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { checkHistory } from '../../fault/check-history.ts'
import { drain, storedVersions } from '../../fault/drain.ts'
import { Recorder, runLoad } from '../../fault/load.ts'

const WORKERS = 4
const PROBE_MS = 50
const TOKEN = '/var/run/storage/token'

const [url = '', seed = '1', seconds = '10'] = process.argv.slice(2)
const plainFetch = globalThis.fetch

globalThis.fetch = (input, init) => {
  const authorization = `Bearer ${readFileSync(TOKEN, 'utf8').trim()}`
  return plainFetch(input, { ...init, headers: { ...init?.headers, authorization } })
}

async function isReady(): Promise<boolean> {
  return plainFetch(`${url}/readyz`, { signal: AbortSignal.timeout(1_000) }).then(
    (answer) => answer.ok,
    () => false,
  )
}

/** Notes each time without an answer, from the last good one to the next. */
async function noteOutages(recorder: Recorder, signal: AbortSignal): Promise<void> {
  let good = Date.now()
  let isOut = false
  while (!signal.aborted || isOut) {
    const ready = await isReady()
    if (ready && isOut) recorder.events.push({ kind: 'outage', startedAt: good, endedAt: Date.now() })
    isOut = !ready
    if (ready) good = Date.now()
    await delay(PROBE_MS)
  }
}

const recorder = new Recorder(url)
const signal = AbortSignal.timeout(Number(seconds) * 1_000)
const watch = noteOutages(recorder, signal)
await runLoad(recorder, { seed: Number(seed), workers: WORKERS, signal })
await watch
await drain(recorder, url)
const urls = recorder.events.flatMap((event) => (event.kind === 'document' ? [event.url] : []))
const documents = await storedVersions(url, [...new Set(urls)])
const violations = checkHistory({ events: recorder.events, documents })
const outages = recorder.events.filter((event) => event.kind === 'outage').length
console.log(JSON.stringify({ events: recorder.events.length, outages, documents: documents.size, violations }))
