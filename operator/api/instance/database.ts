import Type, { type Static } from 'typebox'
import { group, objectName, resources, secretKeyRef, stringMap, volumeSize } from '../fields.ts'
import {
  OWNED_DATABASE_ENVIRONMENT,
  OWNED_ENVIRONMENT_PREFIX,
  OWNED_PARAMETER_PREFIXES,
  OWNED_PARAMETERS,
} from '../owned-settings.ts'
import { atMostOne, type Rule, rules } from '../rules.ts'
import { podTemplate } from './pod-template.ts'

/** Size of a managed database's volume where the spec does not say. */
export const DEFAULT_DATABASE_SIZE = '10Gi'

const names = `[${OWNED_PARAMETERS.map((name) => `'${name}'`).join(', ')}]`
const beginnings = `^(${OWNED_PARAMETER_PREFIXES.join('|')})`

// PostgreSQL does not tell upper from lower case.
const PARAMETER_RULES: Rule[] = [
  {
    rule: `self.all(name, !(name.lowerAscii() in ${names}) && !name.lowerAscii().matches('${beginnings}'))`,
    message: 'parameters names a setting that the operator owns; remove it (docs/storageinstance.md lists them)',
  },
  {
    rule: "self.all(name, name.matches('^[a-zA-Z_][a-zA-Z0-9_]*([.][a-zA-Z_][a-zA-Z0-9_]*)?$'))",
    message:
      'parameters has a key that is not the name of a PostgreSQL setting, such as work_mem or auto_explain.log_timing',
  },
  {
    rule: "self.all(name, !self[name].matches('[\\r\\n]'))",
    message: 'the value of a parameter must be one line',
  },
]

const Storage = group(
  {
    size: volumeSize({
      default: DEFAULT_DATABASE_SIZE,
      description: `Size of the volume. It can be increased but not decreased. Default ${DEFAULT_DATABASE_SIZE}.`,
    }),
    storageClassName: Type.Optional(
      objectName(
        'Storage class of the volume. Default: the default class of the cluster. A change does not affect an existing volume.',
      ),
    ),
  },
  'The data volume.',
)

/** One PostgreSQL pod that the operator runs. */
export const ManagedDatabase = Type.Object(
  {
    storage: Storage,
    resources: resources(
      'CPU and memory of PostgreSQL. Its memory settings are derived from the memory limit. Default: 250m and 512Mi requested, 1Gi as limit.',
    ),
    parameters: stringMap({
      default: {},
      description:
        'PostgreSQL settings by name, with string values: {work_mem: "16MB"}. Settings that the operator owns are rejected. New settings are tried in a Job first, so invalid ones never reach a running server.',
      ...rules(...PARAMETER_RULES),
    }),
    podTemplate: podTemplate({
      pods: 'pod of PostgreSQL. A change restarts the database',
      program: 'PostgreSQL',
      owned: OWNED_DATABASE_ENVIRONMENT,
      ownedPrefix: OWNED_ENVIRONMENT_PREFIX,
    }),
  },
  {
    description:
      'A single PostgreSQL pod that the operator runs. This is the default. For high availability, use a CloudNativePG cluster as the external database.',
  },
)
export type ManagedDatabase = Static<typeof ManagedDatabase>

/** A PostgreSQL that the operator does not run. */
export const ExternalDatabase = Type.Object(
  {
    secretRef: secretKeyRef(
      'uri',
      "Connection URL (postgresql://...) of the role that the service uses. CloudNativePG's <cluster>-app Secret works as it is.",
    ),
    ownerSecretRef: Type.Optional(
      secretKeyRef(
        'uri',
        'Connection URL of the role that owns the schema and runs migrations; not through a pooler. If not set, one role does everything (through directSecretRef if that is set) and status.database.roles is Single.',
      ),
    ),
    directSecretRef: Type.Optional(
      secretKeyRef(
        'uri',
        'Connection URL of the same database and role as in secretRef, but not through a pooler: for LISTEN and for session locks. If not set, secretRef is used; if that is a pooler, long polls query the database once per second.',
      ),
    ),
    replicationSecretRef: Type.Optional(
      secretKeyRef(
        'uri',
        'Connection URL of a role with REPLICATION, for physical backups. Backups are not implemented yet: for now the role is only checked, and status.database.capabilities contains replication if it works.',
      ),
    ),
  },
  { description: 'An existing PostgreSQL server, version 15 or newer.' },
)
export type ExternalDatabase = Static<typeof ExternalDatabase>

/** Which database; no default in the schema, or it could not be switched. */
export const Database = Type.Object(
  { managed: Type.Optional(ManagedDatabase), external: Type.Optional(ExternalDatabase) },
  {
    description:
      'The database, either managed or external. If neither is set, it is managed. A database belongs to one instance only.',
    ...rules(atMostOne(['managed', 'external'])),
  },
)
export type Database = Static<typeof Database>
