import type { Resources } from '../../api/fields.ts'
import type { PodTemplate } from '../../api/instance/pod-template.ts'
import { selectorOf } from '../../api/labels.ts'
import { childName } from '../../api/names.ts'
import { SUPERUSER } from '../../api/provisions.ts'
import type { StorageInstance } from '../../api/storage-instance.ts'
import { CHILD_ANNOTATIONS, secretNote } from '../annotations.ts'
import { child, type Manifest } from '../child.ts'
import { type ContainerOptions, emptyDir, type PodVolume, podTemplate } from '../pod.ts'
import { databaseConfigHash, databaseResources, type TunedDatabase } from './config.ts'
import { DATABASE_PORT } from './service.ts'
import { DATABASE_PATHS as PATHS } from './settings.ts'

/** What a server is started with, beside its files; `configuration` changes with those. */
export type DatabaseSettings = { configuration: string; resources: Resources }

export type DatabaseOptions = DatabaseSettings & {
  image: string
  claimName: string
  /** How many pods: none while the database is to be off. */
  pods: 0 | 1
  /** What people add to the pod. */
  podTemplate: PodTemplate
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

/** At most one PostgreSQL pod, on one claim that is referred to by its name. */
export function databaseStatefulSet(instance: StorageInstance, options: DatabaseOptions): Manifest {
  const { name } = instance.metadata
  const kind = {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    purpose: 'db',
    annotations: secretNote(options),
  } as const
  return child(instance, kind, {
    spec: {
      replicas: options.pods,
      serviceName: childName(name, 'db'),
      // In order, a pod that cannot start would be waited for, and never replaced by one that can.
      podManagementPolicy: 'Parallel',
      updateStrategy: { type: 'RollingUpdate' },
      selector: { matchLabels: selectorOf(name, 'database') },
      template: template(instance, options),
    },
  })
}

function template(instance: StorageInstance, options: DatabaseOptions): object {
  const { configuration, secretVersion, certificate, claimName } = options
  const { prepare, server } = volumes(instance.metadata.name, claimName)
  return podTemplate(instance, {
    component: 'database',
    additions: options.podTemplate,
    annotations: {
      [CHILD_ANNOTATIONS.configuration]: configuration,
      [CHILD_ANNOTATIONS.databaseSecret]: secretVersion,
      ...(certificate && { [CHILD_ANNOTATIONS.certificate]: certificate }),
    },
    graceSeconds: GRACE_SECONDS,
    initContainers: [preparation(options, prepare)],
    containers: [postgres(options, server)],
  })
}

function preparation({ image, resources }: DatabaseOptions, volumes: PodVolume[]): ContainerOptions {
  const command = ['node', '/srv/operator/tasks/init-database.js']
  return { name: 'prepare', image, pullPolicy: 'IfNotPresent', command, resources, volumes }
}

function postgres({ image, resources }: DatabaseOptions, volumes: PodVolume[]): ContainerOptions {
  const command = ['postgres', '-c', `config_file=${PATHS.configuration}/postgresql.conf`]
  const isReady = `pg_isready -q -h ${PATHS.sockets} -U ${SUPERUSER} -d postgres`
  // Code 1: the server is there and refuses, because it starts or recovers; killing it would only begin that anew.
  const isAlive = `${isReady}; [ $? -lt 2 ]`
  const server = {
    ports: [{ name: 'postgresql', containerPort: DATABASE_PORT, protocol: 'TCP' }],
    startupProbe: probe(isReady, 1, STARTUP_SECONDS),
    readinessProbe: probe(isReady, 5, 3),
    livenessProbe: probe(isAlive, 10, 6),
  }
  return { name: 'postgres', image, pullPolicy: 'IfNotPresent', command, resources, volumes, server }
}

function probe(script: string, periodSeconds: number, failureThreshold: number): object {
  return { exec: { command: ['sh', '-c', script] }, periodSeconds, timeoutSeconds: 5, failureThreshold }
}

/** The server itself knows no passwords: it has them in its data. */
function volumes(name: string, claimName: string): { prepare: PodVolume[]; server: PodVolume[] } {
  const secret = (purpose: 'db' | 'db-tls') => ({ secretName: childName(name, purpose), defaultMode: 0o440 })
  const configMap = { name: childName(name, 'db'), defaultMode: 0o444 }
  const before = [
    { name: 'data', mountPath: PATHS.volume, source: { persistentVolumeClaim: { claimName } } },
    { name: 'configuration', mountPath: PATHS.configuration, readOnly: true, source: { configMap } },
    // PostgreSQL takes a key that root owns and the group may read, and no other that it does not own itself.
    { name: 'certificates', mountPath: PATHS.certificates, readOnly: true, source: { secret: secret('db-tls') } },
  ]
  const credentials = {
    name: 'credentials',
    mountPath: PATHS.credentials,
    readOnly: true,
    source: { secret: secret('db') },
  }
  const after = [emptyDir('run', PATHS.sockets), emptyDir('tmp', '/tmp'), emptyDir('shm', '/dev/shm', 'Memory')]
  return { prepare: [...before, credentials, ...after], server: [...before, ...after] }
}
