/**
 * Loaded into the service (`--import`): measures what its event loop does, and tells it on the socket `METER_SOCKET`. A turn is
 * measured by the CPU time of the main thread, not by the clock: what else runs on the machine does not count.
 */
import { rmSync } from 'node:fs'
import { createServer } from 'node:http'

/** Since the figures were read last. The heap and what it refers to are told after a collection of garbage. */
export type Reading = { longestTurnMs: number; highestRssBytes: number; cpuMs: number; heldBytes: number }

const TURN_MS = 10
const RSS_EVERY = 10

class Meter {
  #lastMs = cpuMs(process.threadCpuUsage())
  #longestTurnMs = 0
  #highestRssBytes = 0
  #turns = 0
  #readAtCpuMs = cpuMs(process.cpuUsage())

  /** Timers fire once a turn: what was used since the last time was used by one turn, or by more that were short. */
  turn(): void {
    const nowMs = cpuMs(process.threadCpuUsage())
    this.#longestTurnMs = Math.max(this.#longestTurnMs, nowMs - this.#lastMs)
    this.#lastMs = nowMs
    this.#turns += 1
    if (this.#turns % RSS_EVERY === 0) {
      this.#highestRssBytes = Math.max(this.#highestRssBytes, process.memoryUsage.rss())
    }
  }

  read(): Reading {
    const usedMs = cpuMs(process.cpuUsage())
    for (let round = 0; round < 3; round += 1) globalThis.gc?.()
    const { heapUsed, external } = process.memoryUsage()
    const reading = {
      longestTurnMs: this.#longestTurnMs,
      highestRssBytes: this.#highestRssBytes,
      cpuMs: usedMs - this.#readAtCpuMs,
      heldBytes: heapUsed + external,
    }
    this.#longestTurnMs = 0
    this.#highestRssBytes = 0
    // The collection of garbage was not the service's own idea.
    this.#lastMs = cpuMs(process.threadCpuUsage())
    this.#readAtCpuMs = cpuMs(process.cpuUsage())
    return reading
  }
}

function cpuMs({ user, system }: { user: number; system: number }): number {
  return (user + system) / 1_000
}

const socket = process.env.METER_SOCKET ?? ''
// A process that was killed leaves it behind.
rmSync(socket, { force: true })
const meter = new Meter()
setInterval(() => meter.turn(), TURN_MS).unref()
createServer((_request, response) => {
  response.end(JSON.stringify(meter.read()))
})
  .listen(socket)
  .unref()
