/**
 * Loaded into a process by `--import`: watches the turns of its event loop. At SIGUSR2 it writes the processor time of the
 * longest one since the last time, which other programs on the machine do not lengthen as they do a span of time.
 */
const TICK_MS = 1
let last = processorMs()
let longest = 0
let asked = 0

function processorMs(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1_000
}

setInterval(() => {
  const now = processorMs()
  longest = Math.max(longest, now - last)
  last = now
}, TICK_MS).unref()

process.on('SIGUSR2', () => {
  asked += 1
  process.stderr.write(`longest turn ${asked}: ${longest} ms\n`)
  longest = 0
})
