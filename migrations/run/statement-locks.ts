import { kindOf, partsOf, type Statement } from '../files/statements.ts'

/** A lock that a statement takes on a table, view or index that is there already. */
export type Lock = { object: string; mode: LockMode; blocks: string }

/** PostgreSQL's modes, weakest first. */
export const LOCK_MODES = [
  'ACCESS SHARE',
  'ROW SHARE',
  'ROW EXCLUSIVE',
  'SHARE UPDATE EXCLUSIVE',
  'SHARE',
  'SHARE ROW EXCLUSIVE',
  'EXCLUSIVE',
  'ACCESS EXCLUSIVE',
] as const
export type LockMode = (typeof LOCK_MODES)[number]

const BLOCKS: Record<LockMode, string> = {
  'ACCESS SHARE': 'nobody but a drop',
  'ROW SHARE': 'nobody but a drop',
  'ROW EXCLUSIVE': 'index builds and changes of the table',
  'SHARE UPDATE EXCLUSIVE': 'other changes of the table, no reads or writes',
  SHARE: 'writes',
  'SHARE ROW EXCLUSIVE': 'writes',
  EXCLUSIVE: 'writes',
  'ACCESS EXCLUSIVE': 'reads and writes',
}

type Relation = { schemaname?: string; relname?: string }
type Parts = Record<string, unknown>
type Command = { subtype?: string; def?: { Constraint?: Parts; PartitionCmd?: Parts } }

// What the manual of ALTER TABLE says of its forms; every other one takes ACCESS EXCLUSIVE.
const ALTER_MODES: Record<string, LockMode> = {
  AT_SetStatistics: 'SHARE UPDATE EXCLUSIVE',
  AT_ValidateConstraint: 'SHARE UPDATE EXCLUSIVE',
  AT_ClusterOn: 'SHARE UPDATE EXCLUSIVE',
  AT_DropCluster: 'SHARE UPDATE EXCLUSIVE',
  AT_SetOptions: 'SHARE UPDATE EXCLUSIVE',
  AT_ResetOptions: 'SHARE UPDATE EXCLUSIVE',
  AT_SetRelOptions: 'SHARE UPDATE EXCLUSIVE',
  AT_ResetRelOptions: 'SHARE UPDATE EXCLUSIVE',
  AT_AttachPartition: 'SHARE UPDATE EXCLUSIVE',
  AT_EnableTrig: 'SHARE ROW EXCLUSIVE',
  AT_EnableTrigAll: 'SHARE ROW EXCLUSIVE',
  AT_EnableTrigUser: 'SHARE ROW EXCLUSIVE',
  AT_DisableTrig: 'SHARE ROW EXCLUSIVE',
  AT_DisableTrigAll: 'SHARE ROW EXCLUSIVE',
  AT_DisableTrigUser: 'SHARE ROW EXCLUSIVE',
}

const READERS: Record<string, (parts: Parts, statement: Statement) => Lock[]> = {
  AlterTableStmt: (parts) => alterLocks(parts),
  CreateStmt: (parts) => referenced(constraintsOf(parts.tableElts)),
  IndexStmt: (parts) => one(parts.relation, parts.concurrent ? 'SHARE UPDATE EXCLUSIVE' : 'SHARE'),
  DropStmt: (parts) => dropLocks(parts),
  ReindexStmt: (parts, { text }) =>
    one(parts.relation, /concurrently/i.test(text) ? 'SHARE UPDATE EXCLUSIVE' : 'SHARE'),
  CreateTrigStmt: (parts) => one(parts.relation, 'SHARE ROW EXCLUSIVE'),
  RenameStmt: (parts) =>
    one(parts.relation, parts.renameType === 'OBJECT_INDEX' ? 'SHARE UPDATE EXCLUSIVE' : 'ACCESS EXCLUSIVE'),
  ViewStmt: (parts) => (parts.replace ? one(parts.view, 'ACCESS EXCLUSIVE') : []),
  TruncateStmt: (parts) => relationsOf(parts.relations).map((object) => lock(object, 'ACCESS EXCLUSIVE')),
  VacuumStmt: (parts, { text }) =>
    vacuumed(parts.rels).map((object) =>
      lock(object, /\bfull\b/i.test(text) ? 'ACCESS EXCLUSIVE' : 'SHARE UPDATE EXCLUSIVE'),
    ),
  LockStmt: (parts) => relationsOf(parts.relations).map((object) => lock(object, modeOf(Number(parts.mode)))),
  InsertStmt: (parts) => one(parts.relation, 'ROW EXCLUSIVE'),
  UpdateStmt: (parts) => one(parts.relation, 'ROW EXCLUSIVE'),
  DeleteStmt: (parts) => one(parts.relation, 'ROW EXCLUSIVE'),
}

/** The locks that a statement takes on what is there already, from PostgreSQL's manual; what it makes itself is not among them. */
export function locksOf(statement: Statement): Lock[] {
  const kind = kindOf(statement)
  return READERS[kind]?.(partsOf(statement, kind) ?? {}, statement) ?? []
}

function lock(object: string, mode: LockMode): Lock {
  return { object, mode, blocks: BLOCKS[mode] }
}

function one(relation: unknown, mode: LockMode): Lock[] {
  const name = nameOf(relation)
  return name === undefined ? [] : [lock(name, mode)]
}

function nameOf(relation: unknown): string | undefined {
  const { schemaname, relname } = (relation ?? {}) as Relation
  if (relname === undefined) return undefined
  return schemaname === undefined ? relname : `${schemaname}.${relname}`
}

function modeOf(number: number): LockMode {
  return LOCK_MODES[number - 1] ?? 'ACCESS EXCLUSIVE'
}

function alterLocks({ relation, cmds }: Parts): Lock[] {
  const commands = ((cmds ?? []) as { AlterTableCmd?: Command }[]).map((item) => item.AlterTableCmd ?? {})
  const modes = commands.map(alterMode)
  const strongest = LOCK_MODES.findLast((mode) => modes.includes(mode)) ?? 'ACCESS EXCLUSIVE'
  const constraints = commands.flatMap(({ def }) => (def?.Constraint ? [def.Constraint] : []))
  return [...one(relation, strongest), ...referenced(constraints), ...commands.flatMap(partitionLocks)]
}

function alterMode({ subtype = '', def }: Command): LockMode {
  if (subtype === 'AT_AddConstraint' && def?.Constraint?.contype === 'CONSTR_FOREIGN') return 'SHARE ROW EXCLUSIVE'
  if (subtype === 'AT_DetachPartition' && def?.PartitionCmd?.concurrent) return 'SHARE UPDATE EXCLUSIVE'
  return ALTER_MODES[subtype] ?? 'ACCESS EXCLUSIVE'
}

function partitionLocks({ def }: Command): Lock[] {
  return one(def?.PartitionCmd?.name, 'ACCESS EXCLUSIVE')
}

function constraintsOf(elements: unknown): Parts[] {
  const items = (elements ?? []) as { Constraint?: Parts; ColumnDef?: { constraints?: { Constraint?: Parts }[] } }[]
  return items.flatMap((item) => [
    ...(item.Constraint ? [item.Constraint] : []),
    ...(item.ColumnDef?.constraints ?? []).flatMap(({ Constraint }) => (Constraint ? [Constraint] : [])),
  ])
}

/** A foreign key also locks the table that it refers to. */
function referenced(constraints: Parts[]): Lock[] {
  return constraints.flatMap(({ contype, pktable }) =>
    contype === 'CONSTR_FOREIGN' ? one(pktable, 'SHARE ROW EXCLUSIVE') : [],
  )
}

function dropLocks({ objects, removeType, concurrent }: Parts): Lock[] {
  if (!['OBJECT_TABLE', 'OBJECT_INDEX', 'OBJECT_VIEW', 'OBJECT_MATVIEW'].includes(String(removeType))) return []
  const names = ((objects ?? []) as { List?: { items?: { String?: { sval?: string } }[] } }[]).map((object) =>
    (object.List?.items ?? []).map((item) => item.String?.sval).join('.'),
  )
  return names.map((name) => lock(name, concurrent ? 'SHARE UPDATE EXCLUSIVE' : 'ACCESS EXCLUSIVE'))
}

function relationsOf(relations: unknown): string[] {
  return ((relations ?? []) as { RangeVar?: Relation }[]).flatMap((item) => nameOf(item.RangeVar) ?? [])
}

function vacuumed(relations: unknown): string[] {
  const items = (relations ?? []) as { VacuumRelation?: { relation?: Relation } }[]
  return items.flatMap((item) => nameOf(item.VacuumRelation?.relation) ?? [])
}
