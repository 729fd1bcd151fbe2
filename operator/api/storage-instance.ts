import Type, { type Static } from 'typebox'
import { Backup, DEFAULT_BACKUP_SIZE } from './instance/backup.ts'
import { Database, DEFAULT_DATABASE_SIZE } from './instance/database.ts'
import { Image } from './instance/image.ts'
import { Maintenance } from './instance/maintenance.ts'
import { Migrations } from './instance/migrations.ts'
import { Queues } from './instance/queues.ts'
import { Service } from './instance/service.ts'
import { StorageInstanceStatus } from './instance/status.ts'
import { Tasks } from './instance/tasks.ts'
import { INSTANCE_NAME_LENGTH } from './names.ts'
import type { CustomObject } from './object.ts'
import { nameRule, type Rule, rules } from './rules.ts'

/**
 * A size that may grow only: the member of a union that it belongs to, where it is in there, its default, and where the status
 * has the size that there really is.
 */
type GrowingSize = { member: string; size: string; defaultSize: string; otherMember: string; realSize?: string }

/**
 * The size may grow only; not set counts as its default, and coming from the other member of the union any size will do. A
 * wish that was not granted may be taken back, down to the real size.
 * Written with `has`, because the API server's estimate of the cost knows no bound for what `orValue` gives.
 */
function growOnly({ member, size, defaultSize, otherMember, realSize }: GrowingSize): Rule {
  const bytes = (from: string) => `quantity(${hasPath(from, member)} ? ${from}.${member}.${size} : '${defaultSize}')`
  const elsewhere = (from: string) => `(${hasPath(from, otherMember)})`
  const atLeast = (least: string) => `${bytes('self')}.compareTo(${least}) >= 0`
  const allowed = [elsewhere('self'), elsewhere('oldSelf'), atLeast(bytes('oldSelf'))]
  if (realSize) allowed.push(`(${hasPath('oldSelf', realSize)} && ${atLeast(`quantity(oldSelf.${realSize})`)})`)
  return {
    rule: allowed.join(' || '),
    message: `the volume cannot shrink; take at least the size that it has (${defaultSize} where none was set)`,
    fieldPath: `.${member}.${size}`,
  }
}

/** Whether every field on a path is there. */
function hasPath(from: string, path: string): string {
  const names = path.split('.')
  return names.map((_, index) => `has(${[from, ...names.slice(0, index + 1)].join('.')})`).join(' && ')
}

const MANAGED_TO_EXTERNAL: Rule = {
  rule: "!(self.?spec.?database.?external.hasValue() && !oldSelf.?spec.?database.?external.hasValue() && oldSelf.?status.?database.?kind.orValue('') == 'Managed')",
  message:
    'database cannot go from managed to external while the instance is live, because its data would stay behind; make a new instance with database.external, move the documents by export and import, then delete this one',
  fieldPath: '.spec.database',
}

const DATABASE_GROWS: Rule = growOnly({
  member: 'spec.database.managed',
  size: 'storage.size',
  defaultSize: DEFAULT_DATABASE_SIZE,
  otherMember: 'spec.database.external',
  realSize: 'status.database.volumeSize',
})

/** The desired state. */
export const StorageInstanceSpec = Type.Object(
  {
    image: Image,
    database: Type.Optional(Database),
    api: Service,
    queues: Queues,
    migrations: Migrations,
    backup: Backup,
    maintenance: Maintenance,
    tasks: Tasks,
    stopped: Type.Boolean({
      default: false,
      description:
        'Stops the service, and then the managed database: no pod of them runs, and the data stays. An external database is left alone. Set it to false to start them again. Default false.',
    }),
    deletionPolicy: Type.Enum(['Retain', 'Delete'], {
      default: 'Retain',
      description:
        'What happens to the data of a managed database when the instance is deleted. Retain keeps it. Delete deletes it, but only if the annotation storage.sonoma.dev/confirm-delete: <name> is set. Default Retain.',
    }),
    paused: Type.Boolean({
      default: false,
      description: 'Pauses reconciliation: the operator changes nothing. Default false.',
    }),
  },
  {
    // An applier that takes its last field away leaves no spec at all, and would be refused without this.
    default: {},
    description: 'Desired state. {} is a useful instance.',
    ...rules(
      growOnly({
        member: 'backup.destination.persistentVolumeClaim',
        size: 'size',
        defaultSize: DEFAULT_BACKUP_SIZE,
        otherMember: 'backup.destination.s3',
      }),
    ),
  },
)
export type StorageInstanceSpec = Static<typeof StorageInstanceSpec>

/** A storage service with its database. */
export const StorageInstanceSchema = Type.Object(
  { spec: StorageInstanceSpec, status: Type.Optional(StorageInstanceStatus) },
  {
    description:
      'A storage service for crawled documents and crawl queues, with its PostgreSQL database and schema migrations.',
    ...rules(nameRule(INSTANCE_NAME_LENGTH), MANAGED_TO_EXTERNAL, DATABASE_GROWS),
  },
)

/** A StorageInstance as the API server gives it: defaults are filled in. */
export type StorageInstance = CustomObject<StorageInstanceSpec, StorageInstanceStatus>
export type { StorageInstanceStatus }
