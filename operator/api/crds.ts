import { API_VERSION, GROUP, LABELS, VERSION } from './labels.ts'
import { hasNote, withNote } from './not-implemented.ts'
import { type StructuralSchema, toStructural } from './schema-to-crd.ts'
import { StorageBackupSchema } from './storage-backup.ts'
import { StorageInstanceSchema } from './storage-instance.ts'
import { StorageRestoreSchema } from './storage-restore.ts'

/** A column of `kubectl get`; priority 1 is shown with `-o wide` only. */
export type PrinterColumn = {
  name: string
  type: 'string' | 'integer' | 'number' | 'date'
  jsonPath: string
  description: string
  priority?: number
}

type Scale = { specReplicasPath: string; statusReplicasPath: string; labelSelectorPath: string }

/** One kind of ours: its names, its schema and how it is shown. */
type Kind = { kind: string; plural: string; shortName: string; schema: object; columns: PrinterColumn[]; scale?: Scale }

/** The CustomResourceDefinition of a kind. */
export type CustomResourceDefinition = {
  apiVersion: 'apiextensions.k8s.io/v1'
  kind: 'CustomResourceDefinition'
  metadata: { name: string; labels: Record<string, string> }
  spec: {
    group: string
    scope: 'Namespaced'
    names: Record<string, string | string[]>
    versions: {
      name: string
      served: boolean
      storage: boolean
      schema: { openAPIV3Schema: StructuralSchema }
      subresources: { status: object; scale?: Scale }
      additionalPrinterColumns: PrinterColumn[]
    }[]
  }
}

const AGE = column('Age', '.metadata.creationTimestamp', 'Age of the object.', 'date')

const STORAGE_INSTANCE: Kind = {
  kind: 'StorageInstance',
  plural: 'storageinstances',
  shortName: 'si',
  schema: StorageInstanceSchema,
  columns: [
    column(
      'Ready',
      '.status.conditions[?(@.type=="Ready")].status',
      'Whether everything in the spec exists and works.',
    ),
    column('Schema', '.status.schema.version', 'Latest migration that was applied.'),
    column('API', '.status.api.ready', 'Ready and desired number of pods.'),
    column('Last Backup', '.status.backup.lastSuccess', 'How long ago the latest backup ended.', 'date'),
    column('Verified', '.status.backup.lastVerified', 'How long ago a backup was last verified.', 'date'),
    AGE,
    wide(column('Database', '.status.database.kind', 'Managed or External.')),
    wide(column('Next Backup', '.status.backup.nextScheduled', 'Time of the next scheduled backup.')),
    wide(column('Phase', '.status.phase', 'State in one word.')),
  ],
  scale: {
    specReplicasPath: '.spec.api.replicas',
    statusReplicasPath: '.status.api.replicas',
    labelSelectorPath: '.status.api.selector',
  },
}

const STORAGE_BACKUP: Kind = {
  kind: 'StorageBackup',
  plural: 'storagebackups',
  shortName: 'sbk',
  schema: StorageBackupSchema,
  columns: [
    column('Instance', '.spec.instanceRef.name', 'The StorageInstance.'),
    column('Method', '.status.method', 'Physical or Logical.'),
    column('Phase', '.status.phase', 'Phase of the run.'),
    column('Size', '.status.size', 'Size of the stored backup.'),
    column('Verified', '.status.verified.at', 'How long ago the backup was verified.', 'date'),
    column('Restore', '.status.verified.restoreSeconds', 'Duration of the restore, in seconds.', 'number'),
    AGE,
  ],
}

const STORAGE_RESTORE: Kind = {
  kind: 'StorageRestore',
  plural: 'storagerestores',
  shortName: 'srs',
  schema: StorageRestoreSchema,
  columns: [
    column('Instance', '.spec.instanceRef.name', 'The StorageInstance.'),
    column('Target', '.status.target', 'Recovery target.'),
    column('Phase', '.status.phase', 'Phase of the run.'),
    column('Recovered To', '.status.recoveredTo', 'Time of the last transaction that was restored.'),
    column('Seconds', '.status.seconds.ready', 'Duration of the restore, in seconds.', 'number'),
    AGE,
  ],
}

/** The three kinds, ready to be applied. */
export const CRDS: CustomResourceDefinition[] = [STORAGE_INSTANCE, STORAGE_BACKUP, STORAGE_RESTORE].map(toCrd)

function column(name: string, jsonPath: string, description: string, type: PrinterColumn['type'] = 'string') {
  return { name, type, jsonPath, description }
}

function wide(shown: PrinterColumn): PrinterColumn {
  return { ...shown, priority: 1 }
}

/** A column of a status field that nothing writes yet says so. */
function withColumnNote(shown: PrinterColumn, schema: StructuralSchema): PrinterColumn {
  const [, part, ...path] = shown.jsonPath.split('.')
  if (part !== 'status') return shown
  const field = path.reduce<StructuralSchema | undefined>(
    (at, name) => at?.properties?.[name],
    schema.properties?.status,
  )
  return hasNote(field?.description) ? { ...shown, description: withNote(shown.description) } : shown
}

function toCrd(kind: Kind): CustomResourceDefinition {
  const { plural, shortName, scale } = kind
  const schema = withObjectFields(kind)
  const version = {
    name: VERSION,
    served: true,
    storage: true,
    schema: { openAPIV3Schema: schema },
    subresources: { status: {}, ...(scale === undefined ? {} : { scale }) },
    additionalPrinterColumns: kind.columns.map((shown) => withColumnNote(shown, schema)),
  }
  const names = {
    kind: kind.kind,
    listKind: `${kind.kind}List`,
    plural,
    singular: kind.kind.toLowerCase(),
    shortNames: [shortName],
    categories: ['storage'],
  }
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: {
      name: `${plural}.${GROUP}`,
      labels: { [LABELS.name]: 'sonoma-storage', [LABELS.partOf]: 'sonoma-storage' },
    },
    spec: { group: GROUP, scope: 'Namespaced', names, versions: [version] },
  }
}

/** The fields of every object, before our own. */
function withObjectFields({ kind, schema }: Kind): StructuralSchema {
  const structural = toStructural(schema)
  const properties = {
    apiVersion: { type: 'string', description: `Always ${API_VERSION}.` },
    kind: { type: 'string', description: `Always ${kind}.` },
    metadata: { type: 'object' },
    ...structural.properties,
  }
  return { ...structural, properties }
}
