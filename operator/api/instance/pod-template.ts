import Type, { type Static } from 'typebox'
import { group, listByKey, stringMap } from '../fields.ts'
import { type Rule, rules } from '../rules.ts'

/** Whose pods a template is about, and which variables it may not name. */
type PodTemplateOptions = { pods: string; program: string; owned: readonly string[]; ownedPrefix?: string }

function environmentRule({ owned, ownedPrefix }: PodTemplateOptions): Rule {
  const names = `[${owned.map((name) => `'${name}'`).join(', ')}]`
  const isOwned = `variable.name in ${names}`
  const isPrefixed = ownedPrefix === undefined ? '' : ` && !variable.name.startsWith('${ownedPrefix}')`
  return {
    rule: `self.all(variable, !(${isOwned})${isPrefixed})`,
    message: 'env names a variable that the operator sets from the spec; use the field of the spec instead',
  }
}

const keyOf = (kind: string) =>
  Type.Object(
    {
      name: Type.String({ minLength: 1, maxLength: 253, description: `Name of the ${kind}.` }),
      key: Type.String({ minLength: 1, maxLength: 253, description: `Key in the ${kind}.` }),
      optional: Type.Optional(
        Type.Boolean({ description: 'Whether the object or the key may be missing. Default false.' }),
      ),
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
    value: Type.Optional(Type.String({ maxLength: 32768, description: 'Value of the variable.' })),
    valueFrom: Type.Optional(
      Type.Object(
        {
          secretKeyRef: Type.Optional(keyOf('Secret')),
          configMapKeyRef: Type.Optional(keyOf('ConfigMap')),
        },
        {
          description: 'Source of the value.',
          ...rules({
            rule: 'has(self.secretKeyRef) != has(self.configMapKeyRef)',
            message: 'exactly one of secretKeyRef and configMapKeyRef must be set',
          }),
        },
      ),
    ),
  },
  {
    description: 'An environment variable; docs/configuration.md lists those of the service.',
    ...rules({
      rule: '!(has(self.value) && has(self.valueFrom))',
      message: 'at most one of value and valueFrom may be set; remove the other',
    }),
  },
)

const Toleration = Type.Object(
  {
    key: Type.Optional(
      Type.String({ maxLength: 316, description: 'Key of the taint. If not set, it matches every key.' }),
    ),
    operator: Type.Optional(Type.Enum(['Equal', 'Exists'], { description: 'Equal or Exists. Default Equal.' })),
    value: Type.Optional(Type.String({ maxLength: 63, description: 'Value of the taint.' })),
    effect: Type.Optional(
      Type.Enum(['NoSchedule', 'PreferNoSchedule', 'NoExecute'], {
        description: 'Effect of the taint. If not set, it matches every effect.',
      }),
    ),
    tolerationSeconds: Type.Optional(
      Type.Integer({ format: 'int64', description: 'How many seconds to tolerate NoExecute. If not set, forever.' }),
    ),
  },
  { description: 'A taint that the pods tolerate.' },
)

const TopologySpread = Type.Object(
  {
    maxSkew: Type.Integer({
      format: 'int32',
      minimum: 1,
      description: 'Maximum difference in the number of pods between topology domains.',
    }),
    topologyKey: Type.String({
      minLength: 1,
      maxLength: 316,
      description: 'Node label whose values are the topology domains.',
    }),
    whenUnsatisfiable: Type.Enum(['DoNotSchedule', 'ScheduleAnyway'], {
      description: 'DoNotSchedule or ScheduleAnyway.',
    }),
    minDomains: Type.Optional(
      Type.Integer({
        format: 'int32',
        minimum: 1,
        description: 'Minimum number of topology domains. Only with DoNotSchedule.',
      }),
    ),
  },
  { description: "How to spread the pods. The pods are selected by the operator's labels." },
)

/** What people add to pods: the same fields for all of them. */
export function podTemplate(options: PodTemplateOptions) {
  return group(
    {
      labels: Type.Optional(
        stringMap({ description: 'Additional labels of the pods. They cannot replace those of the operator.' }),
      ),
      annotations: Type.Optional(
        stringMap({ description: 'Additional annotations of the pods. They cannot replace those of the operator.' }),
      ),
      nodeSelector: Type.Optional(stringMap({ description: 'Labels that a node must have to run the pods.' })),
      tolerations: Type.Optional(
        Type.Array(Toleration, {
          maxItems: 64,
          description: 'Taints that the pods tolerate.',
          'x-kubernetes-list-type': 'atomic',
        }),
      ),
      affinity: Type.Optional(
        Type.Unsafe<Record<string, unknown>>(
          Type.Object(
            {},
            {
              description: 'Affinity of the pods; the same as pod.spec.affinity.',
              'x-kubernetes-preserve-unknown-fields': true,
            },
          ),
        ),
      ),
      topologySpreadConstraints: Type.Optional(
        listByKey(TopologySpread, ['topologyKey', 'whenUnsatisfiable'], {
          maxItems: 16,
          description: 'How to spread the pods over nodes and zones.',
        }),
      ),
      priorityClassName: Type.Optional(
        Type.String({ minLength: 1, maxLength: 253, description: 'Priority class of the pods.' }),
      ),
      env: Type.Optional(
        listByKey(Variable, ['name'], {
          maxItems: 100,
          description: `Additional environment variables of ${options.program}. Variables that the operator sets are rejected.`,
          ...rules(environmentRule(options)),
        }),
      ),
    },
    `Additions to the ${options.pods}.`,
  )
}
export type PodTemplate = Static<ReturnType<typeof podTemplate>>
