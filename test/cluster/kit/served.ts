import { LABELS } from '../../../operator/api/labels.ts'
import type { Namespace } from './namespace.ts'
import type { KubeObject } from './objects.ts'
import type { Instance } from './operator.ts'

type Container = { image: string; env: { name: string; value?: string }[] }
type Deployment = KubeObject & { spec: { replicas: number; template: { spec: { containers: [Container] } } } }

/** What the pods of a service are made with. */
export type Served = { replicas: number; tag: string; logLevel: string }

/** What the pods of an instance's service are made with, once all of them are ready and no others are left. */
export async function servedBy(namespace: Namespace, { name }: Instance): Promise<Served> {
  const target = `deployment/${name}-api`
  await namespace.rollout(target)
  const { spec } = await namespace.get<Deployment>(target)
  const [{ image, env }] = spec.template.spec.containers
  const logLevel = env.find((variable) => variable.name === 'LOG_LEVEL')?.value ?? ''
  return { replicas: spec.replicas, tag: image.split(':').at(-1) ?? '', logLevel }
}

/** The address of the database that each pod of an instance's service was started with. */
export async function databaseUrls(namespace: Namespace, { name }: Instance): Promise<string[]> {
  await namespace.rollout(`deployment/${name}-api`)
  const pods = await namespace.list('pods', `${LABELS.instance}=${name},${LABELS.component}=api`)
  const alive = pods.filter(({ metadata }) => metadata.deletionTimestamp === undefined)
  const command = ['node', '-p', 'process.env.DATABASE_URL']
  return Promise.all(alive.map(({ metadata }) => namespace.exec(metadata.name, command)))
}

/** A setting of the managed PostgreSQL as it runs. */
export async function settingOf(namespace: Namespace, { name }: Instance, setting: string): Promise<string> {
  return namespace.exec(`${name}-db-0`, ['psql', '-XAtU', 'postgres', '-c', `SHOW ${setting}`])
}
