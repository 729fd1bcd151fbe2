import { expect } from 'vitest'
import { eventually } from '../../support/eventually.ts'
import { bundleOf } from './bundle.ts'
import type { Client } from './client.ts'

/** What a steady load says at its end; of many failures the first ones and the last. */
export type SteadyLoad = {
  requests: number
  startedAtMs: number
  endedAtMs: number
  failed: number
  failures: { atMs: number; what: string }[]
}

// Only for a test that never says that it is enough.
const MOST_SECONDS = 600

/** Starts a load of a service from a client's pod; answers when it flows, with how to end it. */
export async function startSteadyLoad(client: Client, url: string): Promise<{ end: () => Promise<SteadyLoad> }> {
  const enough = `/tmp/enough-${Date.now()}`
  const said = client.run(await bundleOf('steady-load-program.ts'), url, enough, `${MOST_SECONDS}`)
  const first = { json: { urls: ['https://example.org/0-1'] } }
  const lookUp = () => client.fetch(`${url}/api/documents/lookup`, first)
  await eventually(async () => expect((await lookUp()).json).toMatchObject({ missing: [] }), { timeoutMs: 30_000 })
  const end = async () => {
    await client.shell(`touch ${enough}`)
    return JSON.parse(await said) as SteadyLoad
  }
  return { end }
}
