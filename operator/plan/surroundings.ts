import { childName } from '../api/names.ts'
import type { KubeObject } from '../api/object.ts'
import { databaseOf } from '../api/unions.ts'
import { apiAllowList, wasFilled } from '../desired/api/allow-list.ts'
import { apiAutoscaler } from '../desired/api/autoscaler.ts'
import { apiDisruptionBudget } from '../desired/api/disruption-budget.ts'
import { metricsService } from '../desired/api/metrics-service.ts'
import { apiService } from '../desired/api/service.ts'
import { apiServiceAccount } from '../desired/api/service-account.ts'
import type { Manifest } from '../desired/child.ts'
import { DATABASE_PORT } from '../desired/database/service.ts'
import { apiNetworkPolicy, databaseNetworkPolicy } from '../desired/network-policies.ts'
import type { Action } from './action.ts'
import { adoptions } from './adopt.ts'
import { isTaken } from './foreign.ts'
import { keepHashKey } from './hash-key.ts'
import { drop, keep } from './keep.ts'
import { findChild, isOurs, type Observed } from './observed.ts'
import { obstacleStep } from './obstacles.ts'
import type { Step } from './step.ts'

/** What stands around the service's pods and can be there before them. */
export function checkSurroundings(observed: Observed): Step {
  const kept = [keepHashKey(observed), ...wanted(observed).map((manifest) => keep(observed, manifest))]
  const actions = [...adoptions(observed), ...kept.flatMap((keeping) => keeping.actions), ...unwanted(observed)]
  return obstacleStep(kept, actions) ?? { state: 'done', actions }
}

/** The children of this step that are to be there. */
export function wanted(observed: Observed): Manifest[] {
  const { instance, release } = observed
  const { api } = instance.spec
  const { operatorNamespace } = release
  const databasePorts = portsOf(observed)
  return [
    apiServiceAccount(instance),
    apiAllowList(instance, { wasFilled: wasFilled(liveAllowList(observed)) }),
    apiService(instance),
    metricsService(instance),
    ...(api.networkPolicy.enabled ? [apiNetworkPolicy(instance, { operatorNamespace, databasePorts })] : []),
    ...(api.networkPolicy.enabled && isManaged(instance.spec) ? [databaseNetworkPolicy(instance)] : []),
    ...(hasBudget(observedReplicas(api)) ? [apiDisruptionBudget(instance)] : []),
    ...(api.autoscaling && mayScale(observed) ? [apiAutoscaler(instance, api.autoscaling)] : []),
  ]
}

function portsOf({ serviceSecret, directSecret }: Observed): number[] {
  const ports = [serviceSecret, directSecret].flatMap((secret) =>
    secret?.state === 'usable' ? (secret.port ?? DATABASE_PORT) : [],
  )
  return ports.length === 0 ? [DATABASE_PORT] : [...new Set(ports)]
}

function liveAllowList(observed: Observed): KubeObject | undefined {
  const { instance } = observed
  const live = findChild(observed, { kind: 'ConfigMap', metadata: { name: childName(instance.metadata.name, 'api') } })
  return live && isOurs(instance, live) ? live : undefined
}

function unwanted(observed: Observed): Action[] {
  const { metadata, spec } = observed.instance
  const isScaled = spec.api.autoscaling !== undefined && mayScale(observed)
  const kinds: [isWanted: boolean, apiVersion: string, kind: string, name: string][] = [
    [spec.api.networkPolicy.enabled, 'networking.k8s.io/v1', 'NetworkPolicy', childName(metadata.name, 'api')],
    [
      spec.api.networkPolicy.enabled && isManaged(spec),
      'networking.k8s.io/v1',
      'NetworkPolicy',
      childName(metadata.name, 'db'),
    ],
    [hasBudget(observedReplicas(spec.api)), 'policy/v1', 'PodDisruptionBudget', childName(metadata.name, 'api')],
    [isScaled, 'autoscaling/v2', 'HorizontalPodAutoscaler', childName(metadata.name, 'api')],
  ]
  return kinds
    .filter(([isWanted]) => !isWanted)
    .flatMap(([, apiVersion, kind, name]) => drop(observed, { apiVersion, kind, name }))
}

type Api = Observed['instance']['spec']['api']

function observedReplicas(api: Api): number {
  return api.autoscaling?.minReplicas ?? api.replicas
}

/** An autoscaler goes by the name of what it scales, whoever owns that. */
function mayScale(observed: Observed): boolean {
  return !isTaken(observed, 'Deployment', childName(observed.instance.metadata.name, 'api'))
}

function hasBudget(replicas: number): boolean {
  return replicas > 1
}

function isManaged(spec: Observed['instance']['spec']): boolean {
  return databaseOf(spec).kind === 'Managed'
}
