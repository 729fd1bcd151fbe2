import { eventually } from './eventually.ts'

/** What keeps a process alive, or a machine busy, and should not outlive the file that made it. */
const WATCHED = new Set([
  'ChildProcess',
  'FSEventWrap',
  'PipeServerWrap',
  'PipeWrap',
  'ProcessWrap',
  'StatWatcher',
  'TCPServerWrap',
  'TCPSocketWrap',
  'TLSWrap',
  'Timeout',
  'UDPWrap',
])
const GRACE_MS = 6_000

/** How many of each kind are open. */
export type Resources = Map<string, number>

/** What is open in this process now. */
export function openResources(): Resources {
  const counts: Resources = new Map()
  for (const kind of process.getActiveResourcesInfo()) {
    if (WATCHED.has(kind)) counts.set(kind, (counts.get(kind) ?? 0) + 1)
  }
  return counts
}

/** Fails when more is open than before, and stays so for some seconds: a server, socket, timer or child was left. */
export async function expectNoLeaks(before: Resources): Promise<void> {
  await eventually(
    () => {
      const left = [...openResources()].filter(([kind, count]) => count > (before.get(kind) ?? 0))
      if (left.length === 0) return
      const list = left.map(([kind, count]) => `${count - (before.get(kind) ?? 0)} ${kind}`).join(', ')
      throw new Error(`This file leaves open: ${list}.`)
    },
    { timeoutMs: GRACE_MS },
  )
}
