import Type, { type Static } from 'typebox'
import { group, objectName, resources, secretKeyRef, stringMap, volumeSize } from '../fields.ts'
import { OWNED_PARAMETER_PREFIXES, OWNED_PARAMETERS } from '../owned-settings.ts'
import { atMostOne, type Rule, rules } from '../rules.ts'

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
      description: `Size of the volume. It may grow, never shrink. Default ${DEFAULT_DATABASE_SIZE}.`,
    }),
    storageClassName: Type.Optional(
      objectName(
        "Storage class of the volume. Default: the cluster's default class. A change counts for the next volume, which a restore makes.",
      ),
    ),
  },
  'The volume of the data.',
)

/** One PostgreSQL pod that the operator runs. */
export const ManagedDatabase = Type.Object(
  {
    storage: Storage,
    resources: resources(
      'CPU and memory of PostgreSQL; its memory settings follow from the memory limit. Default: 250m and 512Mi requested, 1Gi as limit.',
    ),
    parameters: stringMap({
      default: {},
      description:
        'PostgreSQL settings by name, as text: {work_mem: "16MB"}. What the operator owns is refused by name, and what PostgreSQL refuses does not reach a server that works.',
      ...rules(...PARAMETER_RULES),
    }),
  },
  {
    description:
      'One PostgreSQL pod that the operator runs; the default. For high availability use a CloudNativePG cluster as external.',
  },
)
export type ManagedDatabase = Static<typeof ManagedDatabase>

/** A PostgreSQL that somebody else runs. */
export const ExternalDatabase = Type.Object(
  {
    secretRef: secretKeyRef(
      'uri',
      "Connection URL (postgresql://...) that the service uses; CloudNativePG's <cluster>-app secret as it is.",
    ),
    ownerSecretRef: Type.Optional(
      secretKeyRef(
        'uri',
        'Connection URL of the role that owns the schema and runs migrations. None: one role does all, and status says so.',
      ),
    ),
    replicationSecretRef: Type.Optional(
      secretKeyRef(
        'uri',
        'Connection URL of a role with REPLICATION, for physical backups. None: backups are logical, without point-in-time restore.',
      ),
    ),
  },
  { description: 'A PostgreSQL 15 or newer that somebody else runs.' },
)
export type ExternalDatabase = Static<typeof ExternalDatabase>

/** Which database; no default in the schema, or it could not be switched. */
export const Database = Type.Object(
  { managed: Type.Optional(ManagedDatabase), external: Type.Optional(ExternalDatabase) },
  {
    description: 'The database: managed or external; neither is managed. A database belongs to one instance.',
    ...rules(atMostOne(['managed', 'external'])),
  },
)
export type Database = Static<typeof Database>
