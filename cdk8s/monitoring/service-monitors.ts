import { LABELS } from '../../operator/api/labels.ts'
import { OPERATOR, OPERATOR_SELECTOR } from '../constructs/metadata.ts'

/** One resource of Prometheus Operator. */
export type Monitored = { kind: 'ServiceMonitor' | 'PrometheusRule'; name: string; spec: object }

const ENDPOINT = { port: 'metrics', interval: '30s' }
const INSTANCE_LABEL = `__meta_kubernetes_service_label_${LABELS.storageInstance.replace(/[^a-z]/g, '_')}`

/** The operator's own metrics, and those of instances, whose label `namespace` is the one of the instance. */
export function operatorMonitor(): Monitored {
  const spec = { selector: { matchLabels: OPERATOR_SELECTOR }, endpoints: [{ ...ENDPOINT, honorLabels: true }] }
  return { kind: 'ServiceMonitor', name: OPERATOR, spec }
}

/** The metrics of every instance, whatever its namespace; the label `storage_instance` names it. */
export function instancesMonitor(watchNamespaces: string[]): Monitored {
  const matchLabels = { [LABELS.partOf]: 'sonoma-storage', [LABELS.component]: 'metrics' }
  const relabelings = [{ sourceLabels: [INSTANCE_LABEL], targetLabel: 'storage_instance' }]
  const namespaceSelector = watchNamespaces.length === 0 ? { any: true } : { matchNames: watchNamespaces }
  const spec = { namespaceSelector, selector: { matchLabels }, endpoints: [{ ...ENDPOINT, relabelings }] }
  return { kind: 'ServiceMonitor', name: 'sonoma-storage-instances', spec }
}
