import Type, { type Static } from 'typebox'
import { group, listByKey, objectName, resources, secretKeyRef } from '../fields.ts'
import { OWNED_ENVIRONMENT } from '../owned-settings.ts'
import { type Rule, rules } from '../rules.ts'
import { podTemplate } from './pod-template.ts'

/** Most replicas of the service. */
const REPLICAS_MAX = 100

const SCALE_RULE: Rule = {
  rule: '!has(self.autoscaling) || !has(oldSelf.autoscaling) || self.replicas == oldSelf.replicas',
  message:
    'replicas cannot be changed while autoscaling is on; change autoscaling.minReplicas and maxReplicas, or remove autoscaling',
  fieldPath: '.replicas',
}

const Autoscaling = Type.Object(
  {
    minReplicas: Type.Integer({
      format: 'int32',
      minimum: 1,
      maximum: REPLICAS_MAX,
      default: 2,
      description: 'Minimum number of replicas. Default 2.',
    }),
    maxReplicas: Type.Integer({
      format: 'int32',
      minimum: 1,
      maximum: REPLICAS_MAX,
      description:
        'Maximum number of replicas. A larger number applies once the database has room for the connections of all replicas.',
    }),
    targetCPUUtilizationPercentage: Type.Integer({
      format: 'int32',
      minimum: 1,
      maximum: 1000,
      default: 70,
      description: 'Target CPU utilization, as a percentage of the request. Default 70.',
    }),
  },
  {
    description:
      'Creates a HorizontalPodAutoscaler that sets the number of replicas. If not set, api.replicas applies.',
    ...rules({
      rule: 'self.minReplicas <= self.maxReplicas',
      message: 'minReplicas must not be more than maxReplicas',
      fieldPath: '.minReplicas',
    }),
  },
)

const Allowed = Type.Object(
  {
    namespace: Type.String({
      minLength: 1,
      maxLength: 63,
      pattern: '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$',
      description: 'Namespace of the service account.',
    }),
    serviceAccount: objectName('Name of the service account.'),
    access: Type.Enum(['Read', 'Write', 'Admin'], {
      default: 'Write',
      description: 'Access level: Read, Write or Admin. Each level includes the ones before it. Default Write.',
    }),
  },
  { description: 'A service account that may call the service.' },
)

// The API server checks the default of the group, {}, before it fills what is below.
const MODE = "self.?mode.orValue('Kubernetes')"

const Auth = group(
  {
    mode: Type.Enum(['Kubernetes', 'Token', 'None'], {
      default: 'Kubernetes',
      description:
        'How callers authenticate: with a service account token for the audience storage.sonoma.dev (Kubernetes), with a static token (Token), or not at all (None). Default Kubernetes.',
    }),
    allow: listByKey(Allowed, ['namespace', 'serviceAccount'], {
      default: [],
      maxItems: 256,
      description:
        "Service accounts that may call the service. Only for mode Kubernetes. By default the list is empty and every account of the instance's namespace has Write access. A list that had entries and is emptied allows no one.",
    }),
    tokensSecretRef: Type.Optional(
      secretKeyRef('tokens', 'Static tokens, one per line: "level token name". Only for mode Token.'),
    ),
  },
  'Authentication and authorization of callers.',
  rules(
    {
      rule: `has(self.tokensSecretRef) == (${MODE} == 'Token')`,
      message: 'tokensSecretRef belongs to mode Token: set it with that mode, and only with it',
      fieldPath: '.tokensSecretRef',
    },
    {
      rule: `${MODE} == 'Kubernetes' || !has(self.allow) || self.allow.size() == 0`,
      message: 'allow works with mode Kubernetes only; remove it or change the mode',
      fieldPath: '.allow',
    },
  ),
)

/** The service's pods. */
export const Service = group(
  {
    replicas: Type.Integer({
      format: 'int32',
      minimum: 0,
      maximum: REPLICAS_MAX,
      default: 2,
      description: 'Number of pods; 0 turns the service off. Ignored while autoscaling is set. Default 2.',
    }),
    autoscaling: Type.Optional(Autoscaling),
    resources: resources('CPU and memory of each pod. Default: 100m and 192Mi requested, 512Mi as memory limit.'),
    poolSize: Type.Integer({
      format: 'int32',
      minimum: 1,
      maximum: 1000,
      default: 20,
      description:
        'Maximum number of database connections per pod. All pools together, (replicas + 1) x poolSize, and a reserve of 20 must fit in max_connections. The operator sets max_connections of a managed database; if that of an external one is too low, DatabaseReachable is False. Default 20.',
    }),
    queueBatchSize: Type.Integer({
      format: 'int32',
      minimum: 1,
      maximum: 10_000,
      default: 100,
      description: 'Maximum number of items that a pop or peek without a count returns. Default 100.',
    }),
    logLevel: Type.Enum(['off', 'error', 'warn', 'info', 'debug', 'trace'], {
      default: 'info',
      description: 'Log level of the service. Default info.',
    }),
    auth: Auth,
    networkPolicy: group(
      {
        enabled: Type.Boolean({
          default: true,
          description:
            'Whether to create NetworkPolicies. Port 8003 accepts connections from the operator and the namespaces of allowed callers (with mode Token from everywhere), port 9095 from everywhere. Outgoing connections are limited to DNS, the database and the API server; those of Jobs to DNS and the database. Default true.',
        }),
      },
      'Network policies of the pods.',
    ),
    podTemplate: podTemplate({ pods: 'pods of the service', program: 'the service', owned: OWNED_ENVIRONMENT }),
  },
  'The service: pods that serve HTTP on port 8003 and metrics on port 9095.',
  rules(SCALE_RULE),
)
export type Service = Static<typeof Service>
