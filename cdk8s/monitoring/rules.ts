import type { Monitored } from './service-monitors.ts'

/** One group of alerts, as Prometheus reads them. */
export type AlertGroup = { name: string; rules: { alert: string; expr: string; for?: string }[] }

/** The alerts by the name of their PrometheusRule. */
const GROUPS: Record<string, AlertGroup[]> = {}

/** A PrometheusRule for each set of groups. */
export function prometheusRules(): Monitored[] {
  return Object.entries(GROUPS).map(([name, groups]) => ({ kind: 'PrometheusRule', name, spec: { groups } }))
}
