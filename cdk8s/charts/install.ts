import { ApiObject, Chart } from 'cdk8s'
import { k8s } from 'cdk8s-plus-28'
import type { Construct } from 'constructs'
import { CRDS } from '../../operator/api/crds.ts'
import { Access } from '../constructs/access.ts'
import { operatorLabels } from '../constructs/metadata.ts'
import { Operator } from '../constructs/operator.ts'
import type { InstallOptions } from '../options.ts'

const POD_SECURITY = Object.fromEntries(
  ['enforce', 'audit', 'warn'].map((mode) => [`pod-security.kubernetes.io/${mode}`, 'restricted']),
)

/** The whole installation: custom resources, namespace, rights, operator. */
export class Install extends Chart {
  constructor(scope: Construct, id: string, options: InstallOptions) {
    super(scope, id)
    for (const crd of CRDS) new ApiObject(this, crd.metadata.name, crd)
    new k8s.KubeNamespace(this, 'namespace', {
      metadata: { name: options.namespace, labels: { ...operatorLabels(options.version), ...POD_SECURITY } },
    })
    new Access(this, 'access', options)
    new Operator(this, 'operator', options)
  }
}
