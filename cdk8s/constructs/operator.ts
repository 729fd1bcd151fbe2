import { k8s } from 'cdk8s-plus-28'
import { Construct } from 'constructs'
import { HEALTH_PORT, METRICS_PORT } from '../../operator/contract.ts'
import type { InstallOptions } from '../options.ts'
import { OPERATOR, OPERATOR_SELECTOR, operatorLabels } from './metadata.ts'

/** Longer than the operator's own SHUTDOWN_TIMEOUT, so that it gives its Lease back. */
const GRACE_SECONDS = 30
const USER = 65_532

/** Two replicas of the operator, of which one works, with what finds and guards them. */
export class Operator extends Construct {
  readonly #options: InstallOptions

  constructor(scope: Construct, id: string, options: InstallOptions) {
    super(scope, id)
    this.#options = options
    const metadata = { name: OPERATOR, namespace: options.namespace, labels: operatorLabels(options.version) }
    new k8s.KubeDeployment(this, 'deployment', { metadata, spec: this.#deployment() })
    new k8s.KubeService(this, 'service', {
      metadata: { ...metadata, name: `${OPERATOR}-metrics` },
      spec: {
        selector: OPERATOR_SELECTOR,
        // Every replica is asked by itself.
        clusterIp: 'None',
        ports: [{ name: 'metrics', port: METRICS_PORT, targetPort: k8s.IntOrString.fromString('metrics') }],
      },
    })
    new k8s.KubePodDisruptionBudget(this, 'disruption-budget', {
      metadata,
      spec: { selector: { matchLabels: OPERATOR_SELECTOR }, maxUnavailable: k8s.IntOrString.fromNumber(1) },
    })
    new k8s.KubeNetworkPolicy(this, 'network-policy', {
      metadata,
      spec: {
        podSelector: { matchLabels: OPERATOR_SELECTOR },
        policyTypes: ['Ingress'],
        ingress: [{ ports: [METRICS_PORT, HEALTH_PORT].map((port) => ({ port: k8s.IntOrString.fromNumber(port) })) }],
      },
    })
  }

  #deployment(): k8s.DeploymentSpec {
    return {
      replicas: 2,
      selector: { matchLabels: OPERATOR_SELECTOR },
      template: { metadata: { labels: operatorLabels(this.#options.version) }, spec: this.#pod() },
    }
  }

  #pod(): k8s.PodSpec {
    const { pullSecrets } = this.#options
    return {
      ...(pullSecrets.length > 0 && { imagePullSecrets: pullSecrets.map((name) => ({ name })) }),
      serviceAccountName: OPERATOR,
      terminationGracePeriodSeconds: GRACE_SECONDS,
      securityContext: {
        runAsNonRoot: true,
        runAsUser: USER,
        runAsGroup: USER,
        seccompProfile: { type: 'RuntimeDefault' },
      },
      topologySpreadConstraints: [
        {
          maxSkew: 1,
          topologyKey: 'kubernetes.io/hostname',
          whenUnsatisfiable: 'ScheduleAnyway',
          labelSelector: { matchLabels: OPERATOR_SELECTOR },
        },
      ],
      containers: [this.#container()],
    }
  }

  #container(): k8s.Container {
    const { image, pullPolicy } = this.#options
    return {
      name: 'operator',
      image,
      imagePullPolicy: pullPolicy,
      // A small young generation: a third less memory with 1,000 instances, for a little more work at the start.
      args: ['--max-semi-space-size=4', '--optimize-for-size', '/srv/operator/main.js'],
      env: this.#environment(),
      ports: [
        { name: 'health', containerPort: HEALTH_PORT },
        { name: 'metrics', containerPort: METRICS_PORT },
      ],
      livenessProbe: { ...probe('/livez'), periodSeconds: 10, failureThreshold: 6 },
      readinessProbe: { ...probe('/readyz'), periodSeconds: 5 },
      resources: {
        requests: { cpu: k8s.Quantity.fromString('50m'), memory: k8s.Quantity.fromString('128Mi') },
        limits: { memory: k8s.Quantity.fromString('512Mi') },
      },
      securityContext: {
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      },
    }
  }

  #environment(): k8s.EnvVar[] {
    const { image, postgresImage, watchNamespaces, maxConcurrentRollouts } = this.#options
    const optional = { WATCH_NAMESPACES: watchNamespaces.join(','), MAX_CONCURRENT_ROLLOUTS: maxConcurrentRollouts }
    const given = Object.entries(optional).filter(([, value]) => value !== '')
    return [
      { name: 'POD_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
      { name: 'POD_NAMESPACE', valueFrom: { fieldRef: { fieldPath: 'metadata.namespace' } } },
      { name: 'SERVICE_IMAGE', value: image },
      { name: 'POSTGRES_IMAGE', value: postgresImage },
      ...given.map(([name, value]) => ({ name, value })),
    ]
  }
}

function probe(path: string): k8s.Probe {
  return { httpGet: { path, port: k8s.IntOrString.fromString('health') }, timeoutSeconds: 5 }
}
