import { createHash } from 'node:crypto'
import { CATALOGUE_SQL, type Catalogue, type CatalogueRow, type Definition, toCatalogue } from './catalogue.ts'
import lockFile from './schema.lock.json' with { type: 'json' }

/** The committed schema: what the catalogue of a database must say once all migrations of this release are applied. */
export type SchemaLock = {
  /** Of the objects, without the grants. */
  fingerprint: string
  pgBoss: number
  /** Every migration, contracts included. */
  migrations: string[]
  objects: Record<string, Definition>
  /** Where the roles `app` and `backup` are apart from the owner. */
  grants: Record<string, Definition>
  /** What differs (null: is not there) while the contracts from that number on wait for their approval. */
  beforeContract: Record<string, { fingerprint: string; objects: Record<string, Definition | null> }>
}

/** One object that is not as the lock has it; `detail` says how. */
export type Difference = { kind: 'missing' | 'extra' | 'changed'; object: string; detail?: string }

/** What was found of a database beside the lock. */
export type Drift = {
  fingerprint: string
  /** `unknown`: migrations are pending, or a newer release has been here; then there is nothing to compare with. */
  state: 'ok' | 'drifted' | 'unknown'
  differences: Difference[]
}

/** The lock of this release. */
export const SCHEMA_LOCK: SchemaLock = lockFile

/** Runs one statement and answers its rows; both the service and the runner have one. */
export type Query = <R>(text: string) => Promise<R[]>

/** Reads the catalogue, without other people's tables in `public` and extensions that we do not need, unless `all` is asked for. */
export async function readCatalogue(query: Query, lock: SchemaLock | 'all' = SCHEMA_LOCK): Promise<Catalogue> {
  const roles = await readRoles(query)
  const rows = await query<CatalogueRow>(CATALOGUE_SQL)
  return toCatalogue(lock === 'all' ? rows.filter(isNeeded) : ours(rows, lock), roles)
}

/** `sha256:` and the hash of the objects of a catalogue. */
export function fingerprintOf(objects: Record<string, Definition>): string {
  return `sha256:${createHash('sha256').update(JSON.stringify(objects)).digest('hex')}`
}

/** Compares a database with the lock; `lock` is another one in tests. */
export async function readDrift(query: Query, lock: SchemaLock = SCHEMA_LOCK): Promise<Drift> {
  const catalogue = await readCatalogue(query, lock)
  const fingerprint = fingerprintOf(catalogue.objects)
  const expected = await expectedFor(query, lock)
  if (expected === undefined) return { fingerprint, state: 'unknown', differences: [] }
  const purposes = new Set(Object.values(await readRoles(query)))
  const grants = compare(grantsTo(purposes, lock.grants), catalogue.grants)
  const differences = [...compare(expected, catalogue.objects), ...grants]
  return { fingerprint, state: differences.length === 0 ? 'ok' : 'drifted', differences }
}

/** Object by object what differs from the expected ones. */
export function compare(expected: Record<string, Definition>, actual: Record<string, Definition>): Difference[] {
  const names = [...new Set([...Object.keys(expected), ...Object.keys(actual)])].sort()
  return names.flatMap((object): Difference[] => {
    const [wanted, found] = [expected[object], actual[object]]
    if (found === undefined) return [{ kind: 'missing', object }]
    if (wanted === undefined) return [{ kind: 'extra', object }]
    const detail = describeChange(wanted, found)
    return detail === '' ? [] : [{ kind: 'changed', object, detail }]
  })
}

/** A difference as a line for people. */
export function describeDifference({ kind, object, detail }: Difference): string {
  return `${kind}: ${object}${detail === undefined ? '' : ` (${detail})`}`
}

function describeChange(wanted: Definition, found: Definition): string {
  const keys = [...new Set([...Object.keys(wanted), ...Object.keys(found)])].sort()
  const changed = keys.filter((key) => JSON.stringify(wanted[key]) !== JSON.stringify(found[key]))
  return changed.map((key) => `${key} is ${show(found[key])}, must be ${show(wanted[key])}`).join('; ')
}

function show(value: unknown): string {
  return value === undefined ? 'not set' : String(value)
}

/** The objects that the database must have in its state; undefined where no state of this release is like it. */
async function expectedFor(query: Query, lock: SchemaLock): Promise<Record<string, Definition> | undefined> {
  const rows = await readApplied(query)
  if (rows.some((row) => row.state !== 'applied')) return undefined
  const applied = new Set(rows.map((row) => row.version))
  if ([...applied].some((version) => !lock.migrations.includes(version))) return undefined
  const pending = lock.migrations.filter((version) => !applied.has(version))
  const [first] = pending
  if (first === undefined) return lock.objects
  const before = lock.beforeContract[first]
  const areContracts = pending.every((version) => version in lock.beforeContract)
  if (before === undefined || !areContracts) return undefined
  const merged = Object.entries({ ...lock.objects, ...before.objects }).filter(([, value]) => value !== null)
  return Object.fromEntries(merged) as Record<string, Definition>
}

async function readApplied(query: Query): Promise<{ version: string; state: string }[]> {
  if (!(await exists(query, 'storage.schema_history'))) return []
  return query(`SELECT version, state FROM storage.schema_history WHERE state <> 'reverted'`)
}

async function readRoles(query: Query): Promise<Record<string, string>> {
  if (!(await exists(query, 'storage.database_role'))) return {}
  const rows = await query<{ purpose: string; name: string }>('SELECT purpose, name FROM storage.database_role')
  return Object.fromEntries(rows.map((row) => [row.name, row.purpose]))
}

async function exists(query: Query, table: string): Promise<boolean> {
  const rows = await query<{ there: boolean }>(`SELECT to_regclass('${table}') IS NOT NULL AS there`)
  return rows[0]?.there === true
}

/** The grants to roles that there are; who asked for none of the others misses none. */
function grantsTo(purposes: Set<string>, grants: Record<string, Definition>): Record<string, Definition> {
  const isThere = (key: string) => {
    const purpose = / to (app|backup)$/.exec(key)?.[1]
    return purpose === undefined || purposes.has(purpose)
  }
  return Object.fromEntries(Object.entries(grants).filter(([key]) => isThere(key)))
}

function ours(rows: CatalogueRow[], lock: SchemaLock): CatalogueRow[] {
  const known = new Set(Object.keys(lock.objects).flatMap(publicRelation))
  return rows.filter((row) => {
    if (row.kind === 'extension') return `extension ${row.name}` in lock.objects
    const [relation] = publicRelation(`${row.kind} ${row.name}`)
    return relation === undefined || known.has(relation)
  })
}

/** `public.name` of an object that is, or is part of, a relation in `public`. */
function publicRelation(key: string): string[] {
  const [, relation] = /^\w+ (public\.[^. ]+)/.exec(key) ?? []
  return relation === undefined ? [] : [relation]
}

/** PL/pgSQL is in every database. */
function isNeeded({ kind, name }: CatalogueRow): boolean {
  return kind !== 'extension' || name !== 'plpgsql'
}
