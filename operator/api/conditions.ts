import Type from 'typebox'
import type { KubeObject } from './object.ts'
import type { Reason } from './reasons.ts'

/** Conditions of a StorageInstance; kstatus reads Ready, Reconciling and Stalled. */
export const CONDITION_TYPES = [
  'Ready',
  'Reconciling',
  'Stalled',
  'DatabaseReachable',
  'SchemaUpToDate',
  'SchemaDriftFree',
  'ApiAvailable',
] as const
export type ConditionType = (typeof CONDITION_TYPES)[number]

/** Conditions that no code sets yet. Move one to the list above with the code that sets it. */
export const RESERVED_CONDITION_TYPES = [
  'LastBackupSucceeded',
  'ContinuousArchiving',
  'BackupVerified',
  'RetentionHealthy',
  'MaintenanceHealthy',
] as const

export type ConditionStatus = 'True' | 'False' | 'Unknown'

/** One condition; times are RFC 3339 with whole seconds. */
export type Condition = {
  type: ConditionType
  status: ConditionStatus
  reason: Reason
  message: string
  lastTransitionTime: string
  observedGeneration: number
}

/** An object whose status has conditions. */
export type Conditional = KubeObject & { status?: { conditions?: Condition[] } }

/** The schema of a condition, as Kubernetes fixes it for every kind. */
const ConditionSchema = Type.Object(
  {
    type: Type.String({ maxLength: 316, description: 'Type of the condition, such as Ready.' }),
    status: Type.Enum(['True', 'False', 'Unknown'], { description: 'True, False or Unknown.' }),
    reason: Type.String({
      minLength: 1,
      maxLength: 1024,
      pattern: '^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$',
      description: 'Machine-readable reason, one of a fixed list that events and logs use too.',
    }),
    message: Type.String({ maxLength: 32768, description: 'Human-readable explanation, with what to do.' }),
    lastTransitionTime: Type.String({ format: 'date-time', description: 'When the status last changed.' }),
    observedGeneration: Type.Optional(
      Type.Integer({
        format: 'int64',
        minimum: 0,
        description: 'The metadata.generation that the condition is based on.',
      }),
    ),
  },
  { description: 'One aspect of the current state.' },
)

/** The conditions of a status, one of each type. */
export const Conditions = Type.Unsafe<Condition[]>(
  Type.Array(ConditionSchema, {
    description: 'Conditions, one of each type. Programs read these.',
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': ['type'],
  }),
)
