import { randomBytes } from 'node:crypto'
import { POSTGRES_IMAGE } from '../images/project-images.ts'
import type { Namespace } from './namespace.ts'
import { CONTAINER_SECURITY, emptyDir, type KubeObject, POD_SECURITY, service } from './objects.ts'

const PORT = 5432
const PREPARE = [
  'set -eu',
  'if [ -s "$PGDATA/PG_VERSION" ]; then exit 0; fi',
  'initdb --username=postgres --pwfile=/secret/password --auth-local=trust --auth-host=scram-sha-256 --data-checksums',
  'echo "host all,replication all all scram-sha-256" >> "$PGDATA/pg_hba.conf"',
].join('\n')

export type PostgresOptions = { name?: string; storageClass?: string; size?: string; settings?: Record<string, string> }

/** A PostgreSQL server in a namespace: one pod with a volume of its own. Its Secret `<name>` has `uri` and `password`. */
export async function startPostgres(namespace: Namespace, options: PostgresOptions = {}): Promise<{ name: string }> {
  const { name = 'postgres' } = options
  const password = randomBytes(16).toString('hex')
  const uri = `postgres://postgres:${password}@${name}.${namespace.name}.svc:${PORT}/postgres`
  const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name }, stringData: { uri, password } }
  await namespace.apply(secret, service(name, { postgres: PORT }), statefulSet(name, options))
  await namespace.rollout(`statefulset/${name}`)
  return { name }
}

function statefulSet(name: string, options: PostgresOptions): KubeObject {
  const { storageClass, size = '1Gi' } = options
  const claim = {
    metadata: { name: 'data' },
    spec: {
      accessModes: ['ReadWriteOnce'],
      resources: { requests: { storage: size } },
      ...(storageClass && { storageClassName: storageClass }),
    },
  }
  return {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: { name, labels: { app: name } },
    spec: {
      serviceName: name,
      selector: { matchLabels: { app: name } },
      template: { metadata: { labels: { app: name } }, spec: pod(name, options) },
      volumeClaimTemplates: [claim],
    },
  }
}

function pod(name: string, { settings = {} }: PostgresOptions): object {
  const flags = Object.entries(settings).flatMap(([setting, value]) => ['-c', `${setting}=${value}`])
  const probe = { exec: { command: ['pg_isready', '-q', '-U', 'postgres'] }, periodSeconds: 1, timeoutSeconds: 3 }
  return {
    securityContext: POD_SECURITY,
    automountServiceAccountToken: false,
    initContainers: [{ ...container('prepare'), command: ['sh', '-c', PREPARE] }],
    containers: [
      {
        ...container('postgres'),
        args: ['postgres', '-c', 'listen_addresses=*', ...flags],
        ports: [{ name: 'postgres', containerPort: PORT }],
        readinessProbe: probe,
      },
    ],
    volumes: [
      emptyDir('run'),
      emptyDir('tmp'),
      emptyDir('shm', 'Memory'),
      { name: 'secret', secret: { secretName: name, items: [{ key: 'password', path: 'password' }] } },
    ],
  }
}

function container(name: string): object {
  return {
    name,
    image: POSTGRES_IMAGE,
    imagePullPolicy: 'IfNotPresent',
    securityContext: CONTAINER_SECURITY,
    resources: { requests: { cpu: '50m', memory: '128Mi' }, limits: { memory: '512Mi' } },
    volumeMounts: [
      { name: 'data', mountPath: '/var/lib/postgresql/data' },
      { name: 'run', mountPath: '/var/run/postgresql' },
      { name: 'tmp', mountPath: '/tmp' },
      { name: 'shm', mountPath: '/dev/shm' },
      { name: 'secret', mountPath: '/secret', readOnly: true },
    ],
  }
}
