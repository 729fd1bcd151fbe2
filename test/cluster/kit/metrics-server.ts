import { join } from 'node:path'
import { eventually } from '../../support/eventually.ts'
import { moduleFolder } from '../build/build.ts'
import { kubectl, tryKubectl } from '../kubectl.ts'
import { applyFile, provideParts } from './optional-part.ts'

const TIMEOUT_MS = 120_000

/** Installs metrics-server where the cluster has none: `kubectl top` and autoscalers work once this resolves. */
export async function ensureMetricsServer(): Promise<void> {
  if (await answers()) return
  await provideParts(['metrics-server'])
  const manifests = join(await moduleFolder('metrics-server', 'sigs.k8s.io/metrics-server'), 'manifests', 'base')
  await applyFile(join(manifests, 'rbac.yaml'))
  await applyFile('metrics-server.yaml')
  await kubectl(['rollout', 'status', '-n', 'kube-system', 'deployment/metrics-server', '--timeout=120s'])
  await applyFile(join(manifests, 'apiservice.yaml'))
  await eventually(answers, { timeoutMs: TIMEOUT_MS })
}

async function answers(): Promise<boolean> {
  return (await tryKubectl(['top', 'nodes', '--no-headers'])).code === 0
}
