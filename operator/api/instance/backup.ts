import Type, { type Static } from 'typebox'
import { cron, duration, group, nameRef, objectName, timeZone, volumeSize } from '../fields.ts'
import { NOT_IMPLEMENTED } from '../not-implemented.ts'
import { atMostOne, rules } from '../rules.ts'

/** Size of the backups' volume where the spec does not say. */
export const DEFAULT_BACKUP_SIZE = '20Gi'

/** A volume for the backups. */
export const VolumeDestination = Type.Object(
  {
    size: volumeSize({
      default: DEFAULT_BACKUP_SIZE,
      description: `Size of the volume. It can be increased but not decreased. Default ${DEFAULT_BACKUP_SIZE}.`,
    }),
    storageClassName: Type.Optional(
      objectName('Storage class of the volume, used when it is created. Default: the default class of the cluster.'),
    ),
  },
  { description: 'A volume that the operator creates. This is the default.' },
)
export type VolumeDestination = Static<typeof VolumeDestination>

/** A bucket for the backups. */
export const S3Destination = Type.Object(
  {
    bucket: Type.String({ minLength: 3, maxLength: 63, description: 'Name of the bucket.' }),
    prefix: Type.String({
      default: '',
      maxLength: 512,
      description: 'Prefix of every object key, such as "crawl/". Default "".',
    }),
    region: Type.Optional(Type.String({ minLength: 1, maxLength: 64, description: 'Region of the bucket.' })),
    endpoint: Type.Optional(
      Type.String({
        pattern: '^https?://.+$',
        maxLength: 2048,
        description: "URL of the S3 server. Default: Amazon's endpoint for the region.",
      }),
    ),
    credentialsSecretRef: Type.Optional(
      nameRef('Secret with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. If not set, the identity of the pod is used.'),
    ),
    serverSideEncryption: Type.Optional(
      Type.Enum(['AES256', 'aws:kms'], {
        description: 'Server-side encryption. If not set, the setting of the bucket applies.',
      }),
    ),
  },
  { description: 'A bucket of an S3 server.' },
)
export type S3Destination = Static<typeof S3Destination>

const Destination = Type.Object(
  { persistentVolumeClaim: Type.Optional(VolumeDestination), s3: Type.Optional(S3Destination) },
  {
    description: 'Where to store backups: persistentVolumeClaim or s3. If neither is set, persistentVolumeClaim.',
    ...rules(atMostOne(['persistentVolumeClaim', 's3'])),
  },
)

/** Backups and their verification. */
export const Backup = group(
  {
    schedule: cron({
      default: '15 2 * * *',
      description:
        'Schedule of backups: minute, hour, day, month, weekday. "" turns scheduled backups off. Default "15 2 * * *".',
    }),
    timeZone: timeZone(),
    method: Type.Enum(['Auto', 'Physical', 'Logical'], {
      default: 'Auto',
      description:
        'Physical backups can be restored to any point in time and need a role with REPLICATION. Logical ones (pg_dump) can be restored only to the time of the backup. Auto chooses Physical if possible. Default Auto.',
    }),
    destination: Type.Optional(Destination),
    walStreaming: group(
      {
        enabled: Type.Boolean({
          default: true,
          description: 'Whether to receive the write-ahead log continuously. Only for physical backups. Default true.',
        }),
        spoolSize: volumeSize({
          default: '2Gi',
          description: 'Size of the volume that stores the log until it is uploaded to the destination. Default 2Gi.',
        }),
      },
      'Continuous archiving, which point-in-time recovery needs.',
    ),
    retention: group(
      {
        window: duration({
          default: '30d',
          description: 'How far back a restore must be possible (s, m, h, d). Default 30d.',
        }),
        keepLast: Type.Integer({
          format: 'int32',
          minimum: 1,
          maximum: 1000,
          default: 3,
          description: 'Minimum number of backups to keep, whatever their age. Default 3.',
        }),
      },
      'How long backups are kept.',
    ),
    verification: group(
      {
        schedule: cron({
          default: '',
          description: 'When to verify the latest backup. "" verifies after every backup. Default "".',
        }),
        level: Type.Enum(['Objects', 'Manifest', 'Restore', 'Index', 'Content'], {
          default: 'Content',
          description:
            'What to check: that the objects exist (Objects), their checksums (Manifest), that a restore starts (Restore), that its indexes are intact (Index), and that its rows equal the source (Content). Each level includes the ones before it. Default Content.',
        }),
      },
      'Verification of backups by restoring them.',
    ),
    suspend: Type.Boolean({ default: false, description: 'Suspends scheduled backups. Default false.' }),
  },
  'Backups and their verification.',
  NOT_IMPLEMENTED,
)
export type Backup = Static<typeof Backup>
