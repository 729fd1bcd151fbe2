import { CRDS } from '../../../operator/api/crds.ts'
import { API_VERSION } from '../../../operator/api/labels.ts'
import { kubectl } from '../kubectl.ts'
import { applyObjects } from './namespace.ts'
import type { KubeObject } from './objects.ts'

/** Installs the custom resource definitions, and waits until the API server serves them. */
export async function ensureCustomResources(): Promise<void> {
  await applyObjects(CRDS)
  const names = CRDS.map(({ metadata }) => `crd/${metadata.name}`)
  await kubectl(['wait', '--for=condition=Established', '--timeout=60s', ...names])
}

/** One of our resources, to be applied. */
export function custom(kind: string, name: string, spec: object): KubeObject {
  return { apiVersion: API_VERSION, kind, metadata: { name }, spec }
}
