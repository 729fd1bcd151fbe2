import Type, { type Static } from 'typebox'
import { group, listByKey, stringMap } from '../fields.ts'
import { OWNED_ENVIRONMENT } from '../owned-settings.ts'
import { type Rule, rules } from '../rules.ts'

const owned = `[${OWNED_ENVIRONMENT.map((name) => `'${name}'`).join(', ')}]`
const ENVIRONMENT_RULE: Rule = {
  rule: `self.all(variable, !(variable.name in ${owned}))`,
  message: 'env names a variable that the operator sets from the spec; use the field of the spec instead',
}

const keyOf = (kind: string) =>
  Type.Object(
    {
      name: Type.String({ minLength: 1, maxLength: 253, description: `The ${kind}'s name.` }),
      key: Type.String({ minLength: 1, maxLength: 253, description: 'The key in it.' }),
      optional: Type.Optional(Type.Boolean({ description: 'Whether it may be missing. Default false.' })),
    },
    { description: `A key of a ${kind} in the same namespace.` },
  )

const Variable = Type.Object(
  {
    name: Type.String({
      pattern: '^[A-Za-z_][A-Za-z0-9_]*$',
      maxLength: 128,
      description: 'Name of the variable.',
    }),
    value: Type.Optional(Type.String({ maxLength: 32768, description: 'Its value.' })),
    valueFrom: Type.Optional(
      Type.Object(
        {
          secretKeyRef: Type.Optional(keyOf('Secret')),
          configMapKeyRef: Type.Optional(keyOf('ConfigMap')),
        },
        {
          description: 'Where its value comes from.',
          ...rules({
            rule: 'has(self.secretKeyRef) != has(self.configMapKeyRef)',
            message: 'exactly one of secretKeyRef and configMapKeyRef must be set',
          }),
        },
      ),
    ),
  },
  {
    description: 'One environment variable; docs/configuration.md lists those of the service.',
    ...rules({
      rule: '!(has(self.value) && has(self.valueFrom))',
      message: 'at most one of value and valueFrom may be set; remove the other',
    }),
  },
)

const Toleration = Type.Object(
  {
    key: Type.Optional(Type.String({ maxLength: 316, description: 'Key of the taint; none: every key.' })),
    operator: Type.Optional(Type.Enum(['Equal', 'Exists'], { description: 'Equal or Exists. Default Equal.' })),
    value: Type.Optional(Type.String({ maxLength: 63, description: 'Value of the taint.' })),
    effect: Type.Optional(
      Type.Enum(['NoSchedule', 'PreferNoSchedule', 'NoExecute'], { description: 'Effect; none: every effect.' }),
    ),
    tolerationSeconds: Type.Optional(
      Type.Integer({ format: 'int64', description: 'How many seconds NoExecute is tolerated; none: for ever.' }),
    ),
  },
  { description: 'A taint that the pods accept.' },
)

const TopologySpread = Type.Object(
  {
    maxSkew: Type.Integer({ format: 'int32', minimum: 1, description: 'Largest difference in pods between places.' }),
    topologyKey: Type.String({ minLength: 1, maxLength: 316, description: 'Node label that tells places apart.' }),
    whenUnsatisfiable: Type.Enum(['DoNotSchedule', 'ScheduleAnyway'], {
      description: 'DoNotSchedule or ScheduleAnyway.',
    }),
    minDomains: Type.Optional(
      Type.Integer({ format: 'int32', minimum: 1, description: 'Fewest places; with DoNotSchedule only.' }),
    ),
  },
  { description: "How the pods are spread; they are selected by the operator's own labels." },
)

/** What people add to the pods of the service. */
export const PodTemplate = group(
  {
    labels: Type.Optional(stringMap({ description: 'More labels of the pods; the operator keeps its own.' })),
    annotations: Type.Optional(stringMap({ description: 'More annotations of the pods; the operator keeps its own.' })),
    nodeSelector: Type.Optional(stringMap({ description: 'Labels that a node must have.' })),
    tolerations: Type.Optional(
      Type.Array(Toleration, {
        maxItems: 64,
        description: 'Taints that the pods accept.',
        'x-kubernetes-list-type': 'atomic',
      }),
    ),
    affinity: Type.Optional(
      Type.Unsafe<Record<string, unknown>>(
        Type.Object(
          {},
          {
            description: 'Affinity of the pods, as in a pod (kubectl explain pod.spec.affinity).',
            'x-kubernetes-preserve-unknown-fields': true,
          },
        ),
      ),
    ),
    topologySpreadConstraints: Type.Optional(
      listByKey(TopologySpread, ['topologyKey', 'whenUnsatisfiable'], {
        maxItems: 16,
        description: 'How the pods are spread over nodes and zones.',
      }),
    ),
    priorityClassName: Type.Optional(
      Type.String({ minLength: 1, maxLength: 253, description: 'Priority class of the pods.' }),
    ),
    env: Type.Optional(
      listByKey(Variable, ['name'], {
        maxItems: 100,
        description: 'More environment variables of the service. What the operator sets is refused by name.',
        ...rules(ENVIRONMENT_RULE),
      }),
    ),
  },
  'What is added to the pods of the service.',
)
export type PodTemplate = Static<typeof PodTemplate>
