import { MigrationError } from '../errors.ts'

/** What kind of change a file is: `expand` breaks no running program, `backfill` fills rows, `contract` takes away. */
export type Phase = 'expand' | 'backfill' | 'contract'

/** What a file says about itself in the comment lines at its top. Times are in milliseconds; undefined is the run's default. */
export type Header = {
  phase: Phase
  /** False for `transaction: none`: statement by statement, with a bookmark. */
  isTransactional: boolean
  lockTimeoutMs: number | undefined
  statementTimeoutMs: number | undefined
  /** Why the change cannot be taken back. */
  irreversible: string | undefined
  /** A query that must answer true once the file is applied. */
  verify: string | undefined
  /** Rows of one batch of a backfill, at most. */
  batchSize: number
}

const PHASES: readonly string[] = ['expand', 'backfill', 'contract']
const LINE = /^--\s*([a-z_]+):\s*(.*?)\s*$/
const DURATION = /^(\d+)(ms|s|m|min|h)$/
const UNIT_MS: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, min: 60_000, h: 3_600_000 }
const DEFAULT_BATCH_SIZE = 1_000

const KEYS = {
  up: ['phase', 'transaction', 'lock_timeout', 'statement_timeout', 'irreversible', 'verify', 'batch_size'],
  down: ['transaction', 'lock_timeout', 'statement_timeout', 'verify'],
} as const

/** Reads the header of an `up.sql`; `label` names the file in errors. Throws `bad_file` with what is allowed. */
export function readUpHeader(sql: string, label: string): Header {
  const header = toHeader(readKeys(sql, label, KEYS.up), label)
  if (header.phase === 'backfill' && !header.isTransactional) {
    throw bad(label, 'is a backfill, which runs in batches of its own; take `transaction: none` out')
  }
  return header
}

/** Reads the header of a `down.sql`, which has no phase of its own. */
export function readDownHeader(sql: string, label: string): Header {
  return toHeader({ phase: 'contract', ...readKeys(sql, label, KEYS.down) }, label)
}

/** Reads a duration such as `200ms`, `5s`, `2min` (or `2m`, as in a StorageInstance) or `1h` in milliseconds; undefined where it is none. */
export function parseDurationMs(text: string): number | undefined {
  const [, count, unit = ''] = DURATION.exec(text) ?? []
  return count === undefined ? undefined : Number(count) * (UNIT_MS[unit] ?? 0)
}

type Keys = Partial<Record<string, string>>

function readKeys(sql: string, label: string, allowed: readonly string[]): Keys {
  const found: Keys = {}
  for (const line of sql.split('\n')) {
    const [, key, value] = LINE.exec(line) ?? []
    if (key === undefined) break
    if (!allowed.includes(key)) throw bad(label, `has the header key \`${key}\`; allowed are ${allowed.join(', ')}`)
    if (key in found) throw bad(label, `has the header key \`${key}\` twice`)
    if (!value) throw bad(label, `has nothing behind the header key \`${key}\``)
    found[key] = value
  }
  return found
}

function toHeader(keys: Keys, label: string): Header {
  if (keys.phase === undefined || !PHASES.includes(keys.phase)) {
    throw bad(label, `must begin with a line \`-- phase: ${PHASES.join(' | ')}\``)
  }
  if (keys.transaction !== undefined && keys.transaction !== 'none') {
    throw bad(label, 'has another `transaction` than `none`; without the line a file is one transaction')
  }
  const batchSize = keys.batch_size === undefined ? DEFAULT_BATCH_SIZE : Number(keys.batch_size)
  if (!Number.isInteger(batchSize) || batchSize < 1) throw bad(label, 'has a `batch_size` that is no whole number')
  return {
    phase: keys.phase as Phase,
    isTransactional: keys.transaction === undefined,
    lockTimeoutMs: duration(keys, 'lock_timeout', label),
    statementTimeoutMs: duration(keys, 'statement_timeout', label),
    irreversible: keys.irreversible,
    verify: keys.verify,
    batchSize,
  }
}

function duration(keys: Keys, key: string, label: string): number | undefined {
  const text = keys[key]
  if (text === undefined) return undefined
  const ms = parseDurationMs(text)
  if (ms === undefined) throw bad(label, `has a \`${key}\` that is no duration such as 200ms, 5s, 2min or 1h`)
  return ms
}

function bad(label: string, what: string): MigrationError {
  return new MigrationError('bad_file', `${label} ${what}.`)
}
