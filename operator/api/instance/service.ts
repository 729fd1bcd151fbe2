import Type, { type Static } from 'typebox'
import { group, listByKey, objectName, resources, secretKeyRef } from '../fields.ts'
import { type Rule, rules } from '../rules.ts'
import { PodTemplate } from './pod-template.ts'

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
      description: 'Fewest replicas. Default 2.',
    }),
    maxReplicas: Type.Integer({ format: 'int32', minimum: 1, maximum: REPLICAS_MAX, description: 'Most replicas.' }),
    targetCPUUtilizationPercentage: Type.Integer({
      format: 'int32',
      minimum: 1,
      maximum: 1000,
      default: 70,
      description: 'CPU use that is aimed at, in percent of what is requested. Default 70.',
    }),
  },
  {
    description: 'Lets a HorizontalPodAutoscaler own the number of replicas. None: api.replicas counts.',
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
      description: 'Namespace of the account.',
    }),
    serviceAccount: objectName('Name of the service account.'),
    access: Type.Enum(['Read', 'Write', 'Admin'], {
      default: 'Write',
      description: 'Read, Write or Admin, each with the ones before it. Default Write.',
    }),
  },
  { description: 'One service account that may call.' },
)

// The API server checks the default of the group, {}, before it fills what is below.
const MODE = "self.?mode.orValue('Kubernetes')"

const Auth = group(
  {
    mode: Type.Enum(['Kubernetes', 'Token', 'None'], {
      default: 'Kubernetes',
      description:
        'Who may call: holders of a service account token with the audience storage.sonoma.dev (Kubernetes), of a static token (Token), everybody (None). Default Kubernetes.',
    }),
    allow: listByKey(Allowed, ['namespace', 'serviceAccount'], {
      default: [],
      maxItems: 256,
      description:
        'Service accounts that may call. Default and empty: every account of the own namespace, with Write. With mode Kubernetes only.',
    }),
    tokensSecretRef: Type.Optional(
      secretKeyRef('tokens', 'Static tokens, one a line: "level token name". With mode Token only.'),
    ),
  },
  'Who may call the service.',
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
      description: 'Number of pods; 0 turns the service off. Not used while autoscaling is on. Default 2.',
    }),
    autoscaling: Type.Optional(Autoscaling),
    resources: resources('CPU and memory of one pod. Default: 100m and 192Mi requested, 512Mi as memory limit.'),
    poolSize: Type.Integer({
      format: 'int32',
      minimum: 1,
      maximum: 1000,
      default: 20,
      description:
        'Most database connections of one pod. Replicas x poolSize and a reserve must fit max_connections: computed for a managed database, a condition for an external one. Default 20.',
    }),
    queueBatchSize: Type.Integer({
      format: 'int32',
      minimum: 1,
      maximum: 10_000,
      default: 100,
      description: 'How many items a pop or peek without a count answers at most. Default 100.',
    }),
    logLevel: Type.Enum(['off', 'error', 'warn', 'info', 'debug', 'trace'], {
      default: 'info',
      description: 'How much is logged. Default info.',
    }),
    auth: Auth,
    networkPolicy: group(
      {
        enabled: Type.Boolean({
          default: true,
          description:
            'Whether NetworkPolicies are made: 8003 from the allowed namespaces, 9095 from any; out: DNS, the database, the API server. Default true.',
        }),
      },
      'Network policies of the pods.',
    ),
    podTemplate: PodTemplate,
  },
  'The service: pods that answer HTTP on 8003 and metrics on 9095.',
  rules(SCALE_RULE),
)
export type Service = Static<typeof Service>
