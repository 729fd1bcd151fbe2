import { ApiObject, Chart } from 'cdk8s'
import type { Construct } from 'constructs'
import { operatorLabels } from '../constructs/metadata.ts'
import { prometheusRules } from '../monitoring/rules.ts'
import { instancesMonitor, operatorMonitor } from '../monitoring/service-monitors.ts'
import type { InstallOptions } from '../options.ts'

/** What Prometheus Operator reads; its own custom resources must be there before. */
export class Monitoring extends Chart {
  constructor(scope: Construct, id: string, { namespace, version, watchNamespaces }: InstallOptions) {
    super(scope, id)
    const specs = [operatorMonitor(), instancesMonitor(watchNamespaces), ...prometheusRules()]
    for (const { kind, name, spec } of specs) {
      const metadata = { name, namespace, labels: operatorLabels(version) }
      new ApiObject(this, `${kind}-${name}`, { apiVersion: 'monitoring.coreos.com/v1', kind, metadata, spec })
    }
  }
}
