/** CPU time and memory of processes, from /proc. */
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'

type Times = { parent: number; ownTicks: number; finishedChildrenTicks: number }

const TICKS_PER_SECOND = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }))

/** CPU seconds that a process has used so far. */
export function cpuSeconds(pid: number): number {
  return (readTimes(pid)?.ownTicks ?? 0) / TICKS_PER_SECOND
}

/** CPU seconds of a process and all its children, those that have ended included. */
export function cpuSecondsOfTree(pid: number): number {
  const root = readTimes(pid)
  if (!root) return 0
  const children = allPids().map(readTimes)
  const alive = children.reduce((sum, times) => (times?.parent === pid ? sum + times.ownTicks : sum), 0)
  return (root.ownTicks + root.finishedChildrenTicks + alive) / TICKS_PER_SECOND
}

/** Memory of a process in MiB: what it holds now, and the most it ever held. */
export function memoryMiB(pid: number): { now: number; peak: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const field = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) / 1_024
  return { now: field('VmRSS'), peak: field('VmHWM') }
}

function allPids(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
}

function readTimes(pid: number): Times | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name in parentheses may hold spaces; the fields after it are numbered from 3 in proc(5).
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    const at = (number: number) => Number(fields[number - 3])
    return { parent: at(4), ownTicks: at(14) + at(15), finishedChildrenTicks: at(16) + at(17) }
  } catch {
    return undefined
  }
}
