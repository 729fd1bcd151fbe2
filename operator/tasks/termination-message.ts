import { writeFileSync } from 'node:fs'

/** Kubernetes keeps 4,096 bytes; this leaves room for what it adds. */
const MOST_BYTES = 3_500
const DEFAULT_PATH = '/dev/termination-log'

/**
 * Writes what a task has to say into the pod's termination message: one JSON line. Where it is too long, the longest texts
 * and lists are cut until it fits. A file that cannot be written is not an error: outside of a pod there is none.
 */
export function writeTerminationMessage(message: Record<string, unknown>, path = DEFAULT_PATH): void {
  try {
    writeFileSync(path, `${toLine(message)}\n`)
  } catch {
    process.stderr.write(`{"level":"warn","msg":"the termination message could not be written"}\n`)
  }
}

/** The message as one JSON line of at most 3,500 bytes. */
export function toLine(message: Record<string, unknown>): string {
  const cut = { ...message }
  for (;;) {
    const text = JSON.stringify(cut)
    if (Buffer.byteLength(text) <= MOST_BYTES) return text
    const [name, value] = longest(cut)
    if (Array.isArray(value) && value.length > 1) cut[name] = value.slice(0, Math.floor(value.length / 2))
    else if (typeof value === 'string' && value.length > 100) cut[name] = `${value.slice(0, value.length / 2)}...`
    else delete cut[name]
  }
}

function longest(message: Record<string, unknown>): [string, unknown] {
  const sorted = Object.entries(message).sort(([, a], [, b]) => lengthOf(b) - lengthOf(a))
  return sorted[0] ?? ['', undefined]
}

function lengthOf(value: unknown): number {
  return JSON.stringify(value)?.length ?? 0
}
