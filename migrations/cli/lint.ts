/** Part of `npm run lint`: squawk reads each SQL file, told what the file is for and how the runner runs it. */
import { spawnSync } from 'node:child_process'
import { globSync } from 'node:fs'
import { join, relative } from 'node:path'
import { toMigrationError } from '../errors.ts'
import { readMigrations, readRepeatable } from '../files/files.ts'
import { MIGRATIONS_FOLDER } from '../files/folder.ts'
import { readDownHeader } from '../files/header.ts'

/** What squawk is told about a file. */
type Reading = {
  /** Where all statements commit together. */
  isTransactional: boolean
  /** A contract or a way back: it is there to take something away. */
  takesAway?: boolean
  /** A run that was broken off goes on behind the statement that was done, so none runs twice. */
  hasBookmark?: boolean
}

// The runner sets the time-outs for every file; an integer that counts seconds or retries needs no 64 bits.
const NEVER = [
  'prefer-bigint-over-int',
  'prefer-bigint-over-smallint',
  'require-lock-timeout',
  'require-statement-timeout',
]
const TAKING_AWAY = ['ban-drop-column', 'ban-drop-not-null', 'ban-drop-table']
const RUN_AGAIN = ['prefer-robust-stmts']

const OLDEST_SERVER = '15.0'
const SQUAWK = join(import.meta.dirname, '..', '..', 'node_modules', '.bin', 'squawk')

/** Reads every SQL file of a folder of migrations; answers what is wrong, or nothing. Throws `bad_file`. */
export async function lintMigrations(folder: string): Promise<string> {
  const groups = new Map<string, string[]>()
  for (const [file, reading] of await readingsOf(folder)) {
    const options = optionsOf(reading).join(' ')
    groups.set(options, [...(groups.get(options) ?? []), file])
  }
  return [...groups].map(([options, files]) => squawk(options.split(' '), files)).join('')
}

async function readingsOf(folder: string): Promise<[string, Reading][]> {
  const readings: [string, Reading][] = [
    ['history.sql', { isTransactional: true }],
    ['repeatable/create.sql', { isTransactional: true }],
    ['repeatable/drop.sql', { isTransactional: true, takesAway: true }],
    ['repeatable/indexes.sql', { isTransactional: false }],
  ]
  for (const { label, header, downSql } of await readMigrations(folder)) {
    const { phase, isTransactional } = header
    const takesAway = phase === 'contract'
    readings.push([`${label}/up.sql`, { isTransactional, takesAway, hasBookmark: !isTransactional }])
    if (downSql === undefined) continue
    const down = readDownHeader(downSql, `${label}/down.sql`)
    const bookmark = { isTransactional: down.isTransactional, hasBookmark: !down.isTransactional }
    readings.push([`${label}/down.sql`, { ...bookmark, takesAway: true }])
  }
  await readRepeatable(join(folder, 'repeatable'))
  const known = new Set(readings.map(([file]) => file))
  const unknown = globSync('**/*.sql', { cwd: folder }).filter((file) => !known.has(file))
  for (const file of unknown) readings.push([file, { isTransactional: true }])
  return readings.map(([file, reading]) => [join(folder, file), reading])
}

function optionsOf({ isTransactional, takesAway, hasBookmark }: Reading): string[] {
  const excluded = [...NEVER, ...(takesAway ? TAKING_AWAY : []), ...(hasBookmark ? RUN_AGAIN : [])]
  const transaction = isTransactional ? '--assume-in-transaction' : '--no-assume-in-transaction'
  return [`--pg-version=${OLDEST_SERVER}`, `--exclude=${excluded.join(',')}`, transaction]
}

function squawk(options: string[], files: string[]): string {
  const paths = files.map((file) => relative('.', file))
  const { status, stdout, stderr, error } = spawnSync(SQUAWK, [...options, ...paths], { encoding: 'utf8' })
  if (error) throw error
  return status === 0 ? '' : stdout + stderr
}

if (import.meta.main) {
  try {
    const found = await lintMigrations(MIGRATIONS_FOLDER)
    process.stdout.write(found)
    process.exitCode = found === '' ? 0 : 1
  } catch (error) {
    process.stderr.write(`${toMigrationError(error).message}\n`)
    process.exitCode = 1
  }
}
