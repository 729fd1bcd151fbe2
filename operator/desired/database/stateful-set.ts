import type { Resources } from '../../api/fields.ts'
import { labelsOf, selectorOf } from '../../api/labels.ts'
import { childName } from '../../api/names.ts'
import type { StorageInstance } from '../../api/storage-instance.ts'
import { CHILD_ANNOTATIONS, secretNote } from '../annotations.ts'
import { child, type Manifest } from '../child.ts'
import { pullSecretsOf } from '../image.ts'
import { CONTAINER_SECURITY, emptyDir, POD_SECURITY } from '../pod-security.ts'
import { databaseConfigHash, databaseResources, type TunedDatabase } from './config.ts'
import { DATABASE_PORT } from './service.ts'
import { DATABASE_PATHS as PATHS, SUPERUSER } from './settings.ts'

/** What a server is started with, beside its files; `configuration` changes with those. */
export type DatabaseSettings = { configuration: string; resources: Resources }

export type DatabaseOptions = DatabaseSettings & {
  image: string
  claimName: string
  /** Which version of the credentials the server is started with. */
  secretVersion: string
  /** Hash of those, where the version is a word of an earlier version of the operator. */
  secretDigest?: string
  /** Which certificate it is started with; none: the first. */
  certificate?: string
}

const GRACE_SECONDS = 180
/** Crash recovery of a busy database may take long; the pod is left alone for an hour. */
const STARTUP_SECONDS = 3_600

/** The settings that an instance asks for. */
export function databaseSettings(instance: StorageInstance, database: TunedDatabase): DatabaseSettings {
  return { configuration: databaseConfigHash(instance, database), resources: databaseResources(database) }
}

/** One PostgreSQL pod on one claim that is referred to by its name. */
export function databaseStatefulSet(instance: StorageInstance, options: DatabaseOptions): Manifest {
  const { name } = instance.metadata
  const kind = {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    purpose: 'db',
    annotations: secretNote(options),
  } as const
  const annotations = {
    [CHILD_ANNOTATIONS.configuration]: options.configuration,
    [CHILD_ANNOTATIONS.databaseSecret]: options.secretVersion,
    ...(options.certificate && { [CHILD_ANNOTATIONS.certificate]: options.certificate }),
  }
  return child(instance, kind, {
    spec: {
      replicas: 1,
      serviceName: childName(name, 'db'),
      // In order, a pod that cannot start would be waited for, and never replaced by one that can.
      podManagementPolicy: 'Parallel',
      updateStrategy: { type: 'RollingUpdate' },
      selector: { matchLabels: selectorOf(name, 'database') },
      template: { metadata: { labels: labelsOf(name, 'database'), annotations }, spec: pod(instance, options) },
    },
  })
}

function pod({ metadata, spec }: StorageInstance, { resources, image, claimName }: DatabaseOptions): object {
  return {
    ...pullSecretsOf(spec.image),
    securityContext: POD_SECURITY,
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    terminationGracePeriodSeconds: GRACE_SECONDS,
    initContainers: [
      { ...container('prepare', image, resources), command: ['node', '/srv/operator/tasks/init-database.js'] },
    ],
    containers: [{ ...container('postgres', image, resources), ...server() }],
    volumes: volumes(metadata.name, claimName),
  }
}

function container(name: string, image: string, resources: object): object {
  return {
    name,
    image,
    imagePullPolicy: 'IfNotPresent',
    resources,
    securityContext: CONTAINER_SECURITY,
    terminationMessagePolicy: 'FallbackToLogsOnError',
    volumeMounts: [
      { name: 'data', mountPath: PATHS.volume },
      { name: 'configuration', mountPath: PATHS.configuration, readOnly: true },
      { name: 'certificates', mountPath: PATHS.certificates, readOnly: true },
      ...(name === 'prepare' ? [{ name: 'credentials', mountPath: PATHS.credentials, readOnly: true }] : []),
      { name: 'run', mountPath: PATHS.sockets },
      { name: 'tmp', mountPath: '/tmp' },
      { name: 'shm', mountPath: '/dev/shm' },
    ],
  }
}

function server(): object {
  const isReady = `pg_isready -q -h ${PATHS.sockets} -U ${SUPERUSER} -d postgres`
  // Code 1: the server is there and refuses, because it starts or recovers; killing it would only begin that anew.
  const isAlive = `${isReady}; [ $? -lt 2 ]`
  const probe = (script: string, periodSeconds: number, failureThreshold: number) => ({
    exec: { command: ['sh', '-c', script] },
    periodSeconds,
    timeoutSeconds: 5,
    failureThreshold,
  })
  return {
    command: ['postgres', '-c', `config_file=${PATHS.configuration}/postgresql.conf`],
    ports: [{ name: 'postgresql', containerPort: DATABASE_PORT, protocol: 'TCP' }],
    startupProbe: probe(isReady, 1, STARTUP_SECONDS),
    readinessProbe: probe(isReady, 5, 3),
    livenessProbe: probe(isAlive, 10, 6),
  }
}

function volumes(name: string, claimName: string): object[] {
  const secret = (purpose: 'db' | 'db-tls') => ({ secretName: childName(name, purpose), defaultMode: 0o440 })
  return [
    { name: 'data', persistentVolumeClaim: { claimName } },
    { name: 'configuration', configMap: { name: childName(name, 'db'), defaultMode: 0o444 } },
    // PostgreSQL takes a key that root owns and the group may read, and no other that it does not own itself.
    { name: 'certificates', secret: secret('db-tls') },
    { name: 'credentials', secret: secret('db') },
    emptyDir('run'),
    emptyDir('tmp'),
    emptyDir('shm', { medium: 'Memory' }),
  ]
}
