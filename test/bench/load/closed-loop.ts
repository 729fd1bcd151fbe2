import type { LatencySummary } from '../statistics.ts'
import { summarise } from '../statistics.ts'
import type { Connection, Reply } from './connection.ts'

/** How long the loop took, and the latency of its requests. */
export type LoopResult = { seconds: number; requests: number; latency: LatencySummary }

/** Does one unit of work on a connection through `send`; false ends this connection's loop. */
export type Step = (send: (request: Buffer) => Promise<Reply>) => Promise<boolean>

/** Runs `step` over and over on every connection at the same time until each has answered false. */
export async function closedLoop(connections: Connection[], step: Step): Promise<LoopResult> {
  const latenciesMs: number[] = []
  const started = performance.now()
  await Promise.all(connections.map((connection) => loop(connection, step, latenciesMs)))
  const seconds = (performance.now() - started) / 1_000
  return { seconds, requests: latenciesMs.length, latency: summarise(latenciesMs) }
}

async function loop(connection: Connection, step: Step, latenciesMs: number[]): Promise<void> {
  const send = async (request: Buffer): Promise<Reply> => {
    const started = performance.now()
    const reply = await connection.send(request)
    latenciesMs.push(performance.now() - started)
    return reply
  }
  for (;;) {
    if (!(await step(send))) return
  }
}

/** A step that sends each request of a list once, whichever connection is free next. */
export function eachOnce(requests: Buffer[]): Step {
  const left = requests.values()
  return async (send) => {
    const next = left.next()
    if (next.done) return false
    await send(next.value)
    return true
  }
}
