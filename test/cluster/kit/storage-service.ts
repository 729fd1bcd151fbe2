import { METRICS_PORT, HTTP_PORT as PORT } from '../../../app/contract.ts'
import { SERVICE_IMAGE } from '../images/project-images.ts'
import type { Namespace } from './namespace.ts'
import { CONTAINER_SECURITY, deployment, emptyDir, type KubeObject, service } from './objects.ts'

export type Allowed = { namespace: string; serviceAccount: string; access: 'Read' | 'Write' | 'Admin' }
export type ServiceOptions = { name?: string; database: string; allow?: Allowed[]; replicas?: number }
export type StorageService = { url: string; metricsUrl: string }

/** The storage service as a plain Deployment, its migrations run first. Answers its addresses inside the cluster. */
export async function startStorageService(namespace: Namespace, options: ServiceOptions): Promise<StorageService> {
  const { name = 'storage', allow = [] } = options
  const metadata = { name: `${name}-allow` }
  await namespace.apply(
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name } },
    { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { 'allow.json': JSON.stringify(allow) } },
    service(name, { http: PORT, metrics: METRICS_PORT }),
    storageDeployment(name, options),
  )
  await namespace.rollout(`deployment/${name}`)
  const host = `${name}.${namespace.name}.svc`
  return { url: `http://${host}:${PORT}`, metricsUrl: `http://${host}:${METRICS_PORT}/metrics` }
}

function storageDeployment(name: string, { database, replicas }: ServiceOptions): KubeObject {
  const env = [
    { name: 'DATABASE_URL', valueFrom: { secretKeyRef: { name: database, key: 'uri' } } },
    { name: 'AUTH_ALLOW', value: '/etc/storage/allow.json' },
    { name: 'SHUTDOWN_DELAY', value: '1s' },
  ]
  const probe = (path: string) => ({ httpGet: { path, port: 'http' }, periodSeconds: 1, timeoutSeconds: 2 })
  const serve = {
    ...container('service', env),
    ports: [
      { name: 'http', containerPort: PORT },
      { name: 'metrics', containerPort: METRICS_PORT },
    ],
    startupProbe: { ...probe('/livez'), failureThreshold: 60 },
    readinessProbe: probe('/readyz'),
    livenessProbe: { ...probe('/livez'), periodSeconds: 5 },
  }
  const migrate = { ...container('migrate', env), args: ['/srv/migrations/main.js', 'up'] }
  const pod = {
    serviceAccountName: name,
    initContainers: [migrate],
    containers: [serve],
    volumes: [{ name: 'allow', configMap: { name: `${name}-allow` } }, emptyDir('tmp')],
  }
  return deployment({ name, replicas, pod })
}

function container(name: string, env: object[]): object {
  return {
    name,
    image: SERVICE_IMAGE,
    imagePullPolicy: 'IfNotPresent',
    env,
    resources: { requests: { cpu: '50m', memory: '128Mi' }, limits: { memory: '512Mi' } },
    securityContext: CONTAINER_SECURITY,
    volumeMounts: [
      { name: 'allow', mountPath: '/etc/storage', readOnly: true },
      { name: 'tmp', mountPath: '/tmp' },
    ],
  }
}
