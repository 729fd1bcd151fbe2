import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** One versioned migration as it stands on disk: `NNNN_name/{up,down}.sql`. Checksums ignore the kind of line end. */
export type MigrationFile = {
  version: string
  name: string
  upSql: string
  downSql: string
  upChecksum: string
  downChecksum: string
}

/** The objects that are taken off before pg-boss migrates its tables, and put back on afterwards. */
export type RepeatableFiles = { dropSql: string; createSql: string; checksum: string }

const FOLDER = /^(\d{4})_([a-z0-9_]+)$/

/** Reads the versioned migrations of a folder in order; throws where two share a number. */
export async function readMigrations(folder: string): Promise<MigrationFile[]> {
  const names = (await readdir(folder)).filter((name) => FOLDER.test(name)).sort()
  const files = await Promise.all(names.map((name) => readMigration(folder, name)))
  const twice = files.find((file, index) => files[index + 1]?.version === file.version)
  if (twice) throw new Error(`Two migrations have the number ${twice.version}; give one of them the next free number.`)
  return files
}

/** Reads the repeatable objects of a folder. */
export async function readRepeatable(folder: string): Promise<RepeatableFiles> {
  const [dropSql, createSql] = await Promise.all(['drop.sql', 'create.sql'].map((name) => readSql(folder, name)))
  return { dropSql: dropSql ?? '', createSql: createSql ?? '', checksum: checksum(`${dropSql}\n${createSql}`) }
}

async function readMigration(folder: string, directory: string): Promise<MigrationFile> {
  const [, version = '', name = ''] = FOLDER.exec(directory) ?? []
  const upSql = await readSql(join(folder, directory), 'up.sql')
  const downSql = await readSql(join(folder, directory), 'down.sql')
  return { version, name, upSql, downSql, upChecksum: checksum(upSql), downChecksum: checksum(downSql) }
}

async function readSql(folder: string, name: string): Promise<string> {
  return (await readFile(join(folder, name), 'utf8')).replaceAll('\r\n', '\n')
}

function checksum(text: string): string {
  return `sha256:${createHash('sha256').update(text).digest('hex')}`
}
