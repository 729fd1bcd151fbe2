import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { eventually } from '../../support/eventually.ts'
import { moduleFolder } from '../build/build.ts'
import { kubectl, tryKubectl } from '../kubectl.ts'
import { applyFile, provideParts } from './optional-part.ts'

/** For `useParts`. */
export const PROMETHEUS_PARTS: string[] = ['prometheus-operator', 'prometheus-config-reloader', 'prometheus']

const MODULE = 'github.com/prometheus-operator/prometheus-operator'
const SPACE = 'sonoma-cluster-monitoring'
const KINDS = ['prometheuses', 'servicemonitors', 'podmonitors', 'prometheusrules']
const QUERY = `/api/v1/namespaces/${SPACE}/services/prometheus-operated:9090/proxy/api/v1/query`
const TIMEOUT_MS = 180_000

type Series = { metric: Record<string, string>; value: [number, string] }

/** Installs Prometheus Operator and a Prometheus that scrapes what ServiceMonitors of any namespace name; once a cluster. */
export async function ensurePrometheus(): Promise<void> {
  if (await isReady()) return
  await provideParts(PROMETHEUS_PARTS)
  const sources = await ensureMonitoringKinds()
  await applyFile(join(sources, 'example/rbac/prometheus-operator/prometheus-operator-cluster-role.yaml'))
  await applyFile('monitoring.yaml')
  await eventually(isReady, { timeoutMs: TIMEOUT_MS })
}

/** Installs the custom resource definitions of Prometheus Operator alone; answers the folder of its sources. */
export async function ensureMonitoringKinds(): Promise<string> {
  const sources = await moduleFolder('prometheus-operator', MODULE)
  await applyFile(join(sources, 'example', 'prometheus-operator-crd'))
  // The operator ends where a kind is missing, and an object of a kind that is not there yet is refused.
  const kinds = KINDS.map((kind) => `customresourcedefinition/${kind}.monitoring.coreos.com`)
  await kubectl(['wait', '--for=condition=Established', ...kinds, '--timeout=60s'])
  return sources
}

/** Has Prometheus take up the ServiceMonitors of a namespace by a new start: its reloader looks every three minutes only. */
export async function takeUpMonitors(namespace: string): Promise<void> {
  const isConfigured = async () => (await configuration()).includes(`serviceMonitor/${namespace}/`)
  await eventually(isConfigured, { timeoutMs: TIMEOUT_MS, intervalMs: 500 })
  await kubectl(['delete', 'pod', 'prometheus-tests-0', '-n', SPACE, '--grace-period=1'])
  await eventually(isReady, { timeoutMs: TIMEOUT_MS, intervalMs: 500 })
}

/** What Prometheus Operator has made of all monitors. */
async function configuration(): Promise<string> {
  const secret = ['get', 'secret', 'prometheus-tests', '-n', SPACE, '-o', 'jsonpath={.data.prometheus\\.yaml\\.gz}']
  return gunzipSync(Buffer.from(await kubectl(secret), 'base64')).toString()
}

/** What a PromQL query answers now. */
export async function query(promql: string): Promise<Series[]> {
  const answer = await kubectl(['get', '--raw', `${QUERY}?query=${encodeURIComponent(promql)}`])
  return (JSON.parse(answer) as { data: { result: Series[] } }).data.result
}

async function isReady(): Promise<boolean> {
  return (await tryKubectl(['get', '--raw', `${QUERY}?query=vector(1)`])).code === 0
}
