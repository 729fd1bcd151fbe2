import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { MigrationError } from '../errors.ts'
import { type Header, readDownHeader, readUpHeader } from './header.ts'
import { checkRepeatableIndexes } from './index-target.ts'
import { kindOf, needsNoTransaction, type Statement, splitStatements } from './statements.ts'

/** One versioned migration as it stands on disk: `NNNN_name/{up,down}.sql`. Checksums ignore the kind of line end. */
export type MigrationFile = {
  version: string
  name: string
  /** `NNNN_name`, as it is called in messages. */
  label: string
  header: Header
  statements: Statement[]
  upSql: string
  /** Undefined where the header says `irreversible`. */
  downSql: string | undefined
  upChecksum: string
  downChecksum: string
}

/** The objects that are taken off before pg-boss migrates its tables, and put back on afterwards; the indexes only where they are missing. */
export type RepeatableFiles = { dropSql: string; createSql: string; indexes: Statement[]; checksum: string }

const FOLDER = /^(\d{4})_([a-z0-9_]+)$/

/** Reads the versioned migrations of a folder in order; throws `bad_file` for whatever is wrong with one of them. */
export async function readMigrations(folder: string): Promise<MigrationFile[]> {
  const names = (await readdir(folder)).filter((name) => FOLDER.test(name)).sort()
  const files = await Promise.all(names.map((name) => readMigration(folder, name)))
  const twice = files.find((file, index) => files[index + 1]?.version === file.version)
  if (!twice) return files
  throw new MigrationError(
    'bad_file',
    `Two migrations have the number ${twice.version}; give one of them the next free number.`,
  )
}

/** Reads the repeatable objects of a folder; throws `bad_file` for an index that others would have to wait for. */
export async function readRepeatable(folder: string): Promise<RepeatableFiles> {
  const texts = await Promise.all(['drop.sql', 'create.sql', 'indexes.sql'].map((name) => readSql(folder, name)))
  const [dropSql = '', createSql = '', indexesSql] = texts
  const indexes = indexesSql === undefined ? [] : await splitStatements(indexesSql, 'repeatable/indexes.sql')
  checkRepeatableIndexes(indexes)
  for (const statement of await splitStatements(createSql, 'repeatable/create.sql')) {
    if (kindOf(statement) !== 'IndexStmt') continue
    const where = `repeatable/create.sql line ${statement.line}`
    throw new MigrationError('bad_file', `${where}: an index belongs in indexes.sql, where nobody waits for its build.`)
  }
  return { dropSql, createSql, indexes, checksum: checksum(texts.join('\n')) }
}

async function readMigration(folder: string, label: string): Promise<MigrationFile> {
  const [, version = '', name = ''] = FOLDER.exec(label) ?? []
  const upSql = await readSql(join(folder, label), 'up.sql')
  const downSql = await readSql(join(folder, label), 'down.sql')
  if (upSql === undefined) throw new MigrationError('bad_file', `Migration ${label} has no up.sql; write one.`)
  const header = readUpHeader(upSql, `${label}/up.sql`)
  const statements = await splitStatements(upSql, `${label}/up.sql`)
  const file = { version, name, label, header, statements, upSql, downSql }
  await check(file)
  return { ...file, upChecksum: checksum(upSql), downChecksum: checksum(downSql ?? '') }
}

async function check(file: Omit<MigrationFile, 'upChecksum' | 'downChecksum'>): Promise<void> {
  const { label, header, statements, downSql } = file
  checkStatements(statements, header, `${label}/up.sql`)
  if (header.phase === 'backfill' && statements.length !== 1) {
    throw new MigrationError('bad_file', `${label}/up.sql is a backfill and must be one statement: that of one batch.`)
  }
  if (downSql === undefined && header.irreversible === undefined) {
    const what = 'write one, or say `-- irreversible: reason` in its up.sql'
    throw new MigrationError('bad_file', `Migration ${label} has no down.sql; ${what}.`)
  }
  if (downSql !== undefined) await checkDown(downSql, `${label}/down.sql`)
}

/** Throws `bad_file` for a down.sql that could not be run. */
export async function checkDown(downSql: string, label: string): Promise<void> {
  checkStatements(await splitStatements(downSql, label), readDownHeader(downSql, label), label)
}

function checkStatements(statements: Statement[], header: Header, label: string): void {
  if (statements.length === 0) throw new MigrationError('bad_file', `${label} holds no statement.`)
  for (const statement of statements) {
    const where = `${label} line ${statement.line}`
    if (kindOf(statement) === 'TransactionStmt') {
      throw new MigrationError('bad_file', `${where}: the runner begins and ends transactions; take the statement out.`)
    }
    if (header.isTransactional && needsNoTransaction(statement)) {
      const what = 'this statement runs in no transaction; add `-- transaction: none` to the header'
      throw new MigrationError('bad_file', `${where}: ${what}.`)
    }
  }
}

async function readSql(folder: string, name: string): Promise<string | undefined> {
  try {
    return (await readFile(join(folder, name), 'utf8')).replaceAll('\r\n', '\n')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** `sha256:` and the hash of a text. */
export function checksum(text: string): string {
  return `sha256:${createHash('sha256').update(text).digest('hex')}`
}
