import { randomBytes } from 'node:crypto'
import { AwsClient } from 'aws4fetch'
import type { Namespace } from './namespace.ts'
import { CONTAINER_SECURITY, deployment, emptyDir, type KubeObject, service } from './objects.ts'
import { provideParts } from './optional-part.ts'

const PORT = 7070
const FOLDER = '/data'

/** An S3 server in a namespace: its address inside the cluster, and the Secret with ACCESS_KEY_ID and SECRET_ACCESS_KEY. */
export type S3 = { endpoint: string; region: string; secret: string; accessKeyId: string; secretAccessKey: string }

/** Starts an S3 server (versitygw on a folder) whose content lives as long as its pod; it has no buckets yet. */
export async function startS3(namespace: Namespace, name = 's3'): Promise<S3> {
  await provideParts(['versitygw'])
  const keys = {
    ACCESS_KEY_ID: `key${randomBytes(4).toString('hex')}`,
    SECRET_ACCESS_KEY: randomBytes(20).toString('hex'),
  }
  const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name }, stringData: keys }
  await namespace.apply(secret, service(name, { s3: PORT }), s3Deployment(name))
  await namespace.rollout(`deployment/${name}`)
  return {
    endpoint: `http://${name}.${namespace.name}.svc:${PORT}`,
    region: 'us-east-1',
    secret: name,
    accessKeyId: keys.ACCESS_KEY_ID,
    secretAccessKey: keys.SECRET_ACCESS_KEY,
  }
}

/** Signed requests from this machine to a path (`/bucket/key`) of the server. */
export async function s3Requests(
  namespace: Namespace,
  { accessKeyId, secretAccessKey, region, secret }: S3,
): Promise<(path: string, request?: RequestInit) => Promise<Response>> {
  const { url } = await namespace.portForward(`deployment/${secret}`, PORT)
  const client = new AwsClient({ accessKeyId, secretAccessKey, region, service: 's3' })
  return (path, request) => client.fetch(url + path, request)
}

function s3Deployment(name: string): KubeObject {
  const from = (key: string) => ({ secretKeyRef: { name, key } })
  const container = {
    name: 's3',
    image: 'localhost/sonoma-cluster/versitygw:dev',
    imagePullPolicy: 'IfNotPresent',
    args: ['--port', `:${PORT}`, '--health', '/health', 'posix', FOLDER],
    env: [
      { name: 'ROOT_ACCESS_KEY', valueFrom: from('ACCESS_KEY_ID') },
      { name: 'ROOT_SECRET_KEY', valueFrom: from('SECRET_ACCESS_KEY') },
    ],
    ports: [{ name: 's3', containerPort: PORT }],
    readinessProbe: { httpGet: { path: '/health', port: 's3' }, periodSeconds: 1 },
    resources: { requests: { cpu: '20m', memory: '64Mi' }, limits: { memory: '512Mi' } },
    securityContext: CONTAINER_SECURITY,
    volumeMounts: [
      { name: 'data', mountPath: FOLDER },
      { name: 'tmp', mountPath: '/tmp' },
    ],
  }
  return deployment({ name, pod: { containers: [container], volumes: [emptyDir('data'), emptyDir('tmp')] } })
}
