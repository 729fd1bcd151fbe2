import Type, { type Static } from 'typebox'
import { cron, duration, group, nameRef, objectName, timeZone, volumeSize } from '../fields.ts'
import { atMostOne, rules } from '../rules.ts'

/** Size of the backups' volume where the spec does not say. */
export const DEFAULT_BACKUP_SIZE = '20Gi'

/** A volume for the backups. */
export const VolumeDestination = Type.Object(
  {
    size: volumeSize({
      default: DEFAULT_BACKUP_SIZE,
      description: `Size of the volume. It may grow, never shrink. Default ${DEFAULT_BACKUP_SIZE}.`,
    }),
    storageClassName: Type.Optional(
      objectName("Storage class of the volume, used when it is made. Default: the cluster's default class."),
    ),
  },
  { description: 'A volume that the operator makes; the default.' },
)
export type VolumeDestination = Static<typeof VolumeDestination>

/** A bucket for the backups. */
export const S3Destination = Type.Object(
  {
    bucket: Type.String({ minLength: 3, maxLength: 63, description: 'Name of the bucket.' }),
    prefix: Type.String({
      default: '',
      maxLength: 512,
      description: 'Begins every object key, such as "crawl/". Default "".',
    }),
    region: Type.Optional(Type.String({ minLength: 1, maxLength: 64, description: 'Region of the bucket.' })),
    endpoint: Type.Optional(
      Type.String({
        pattern: '^https?://.+$',
        maxLength: 2048,
        description: "URL of the S3 server. Default: the region's own at Amazon.",
      }),
    ),
    credentialsSecretRef: Type.Optional(
      nameRef('Secret with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. None: the identity of the pod.'),
    ),
    serverSideEncryption: Type.Optional(
      Type.Enum(['AES256', 'aws:kms'], { description: "Encryption by the server. None: the bucket's own setting." }),
    ),
  },
  { description: 'A bucket of an S3 server.' },
)
export type S3Destination = Static<typeof S3Destination>

const Destination = Type.Object(
  { persistentVolumeClaim: Type.Optional(VolumeDestination), s3: Type.Optional(S3Destination) },
  {
    description: 'Where backups go: persistentVolumeClaim or s3; neither is persistentVolumeClaim.',
    ...rules(atMostOne(['persistentVolumeClaim', 's3'])),
  },
)

/** Backups and their proof. */
export const Backup = group(
  {
    schedule: cron({
      default: '15 2 * * *',
      description:
        'When a backup is made: minute, hour, day, month, weekday. "": never by schedule. Default "15 2 * * *".',
    }),
    timeZone: timeZone(),
    method: Type.Enum(['Auto', 'Physical', 'Logical'], {
      default: 'Auto',
      description:
        'Physical can be restored to any instant and needs a role with REPLICATION; Logical (pg_dump) only to its own; Auto: Physical where it can be. Default Auto.',
    }),
    destination: Type.Optional(Destination),
    walStreaming: group(
      {
        enabled: Type.Boolean({
          default: true,
          description:
            'Whether the write-ahead log is received continuously. With physical backups only. Default true.',
        }),
        spoolSize: volumeSize({
          default: '2Gi',
          description: 'Size of the volume that holds the log until it is in the destination. Default 2Gi.',
        }),
      },
      'Continuous archiving, which makes a restore to any instant possible.',
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
          description: 'How many backups are kept at least, whatever their age. Default 3.',
        }),
      },
      'What is kept.',
    ),
    verification: group(
      {
        schedule: cron({
          default: '',
          description: 'When the newest backup is restored and compared. "": after every backup. Default "".',
        }),
        level: Type.Enum(['Objects', 'Manifest', 'Restore', 'Index', 'Content'], {
          default: 'Content',
          description:
            'How far: the objects are there, their checksums, a restore starts, its indexes are whole, its rows equal the source; each with the ones before it. Default Content.',
        }),
      },
      'How backups are proven.',
    ),
    suspend: Type.Boolean({ default: false, description: 'Stops scheduled backups. Default false.' }),
  },
  'Backups and their proof.',
)
export type Backup = Static<typeof Backup>
