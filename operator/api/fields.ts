import Type, { type TObject, type TProperties, type TSchema } from 'typebox'

/**
 * Field schemas that several kinds use. A field without `default` and not Optional is required; one with a default is filled
 * by the API server, so code that reads an object always finds it.
 */

/** A set of fields that is always there: what is not given is filled with the defaults of its fields. */
export function group<P extends TProperties>(properties: P, description: string, options: object = {}): TObject<P> {
  return Type.Object(properties, { default: {}, description, ...options })
}

/** A list in which `key` occurs once, so that several writers can own entries of it. */
export function listByKey<T extends TSchema>(item: T, keys: string[], options: object) {
  return Type.Array(item, { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': keys, ...options })
}

/** `90s`, `10m`, `2h`, `30d`. */
export function duration(options: object) {
  return Type.String({ pattern: '^[1-9][0-9]{0,5}[smhd]$', maxLength: 7, ...options })
}

/** The same down to milliseconds: `200ms`. */
export function shortDuration(options: object) {
  return Type.String({ pattern: '^[1-9][0-9]{0,5}(ms|s|m)$', maxLength: 8, ...options })
}

const QUANTITY =
  '^(\\+|-)?(([0-9]+(\\.[0-9]*)?)|(\\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\\+|-)?(([0-9]+(\\.[0-9]*)?)|(\\.[0-9]+))))?$'

/** A quantity of Kubernetes: `10Gi`, `500m`, or a number. */
export function quantity(options: object = {}) {
  return Type.Unsafe<string | number>(
    Type.Unknown({ 'x-kubernetes-int-or-string': true, pattern: QUANTITY, maxLength: 32, ...options }),
  )
}

/** The size of a volume: `10Gi`. */
export function volumeSize(options: object) {
  return Type.String({ pattern: '^[1-9][0-9]{0,14}([KMGTPE]i?|k)?$', maxLength: 18, ...options })
}

/** Five fields of cron; "" is never. */
export function cron(options: object) {
  return Type.String({ pattern: '^(\\S+ \\S+ \\S+ \\S+ \\S+)?$', maxLength: 100, ...options })
}

/** Name of a time zone; whether it exists is found by the operator. */
export function timeZone() {
  return Type.String({
    default: 'Etc/UTC',
    minLength: 1,
    maxLength: 64,
    description: 'Time zone of the schedule, such as Europe/Berlin. Default Etc/UTC.',
  })
}

/** Name of an object, which may hold dots. */
export function objectName(description: string) {
  return Type.String({
    minLength: 1,
    maxLength: 253,
    pattern: '^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$',
    description,
  })
}

/** A reference to another object of the same namespace by its name. */
export function nameRef(description: string) {
  return Type.Object({ name: objectName('Name of the object.') }, { description })
}

/** A key of a Secret in the same namespace. */
export function secretKeyRef(defaultKey: string, description: string) {
  return Type.Object(
    {
      name: objectName('Name of the Secret, in the namespace of this object.'),
      key: Type.String({
        default: defaultKey,
        minLength: 1,
        maxLength: 253,
        pattern: '^[-._a-zA-Z0-9]+$',
        description: `Key in the Secret. Default ${defaultKey}.`,
      }),
    },
    { description },
  )
}

/** Labels, annotations and the like. */
export function stringMap(options: object) {
  return Type.Record(Type.String(), Type.String({ maxLength: 4096 }), { maxProperties: 64, ...options })
}

const quantities = (description: string) =>
  Type.Optional(
    Type.Unsafe<Record<string, string | number>>(
      Type.Record(Type.String(), quantity(), { maxProperties: 16, description }),
    ),
  )

/** CPU and memory of a container. */
export function resources(description: string) {
  return group(
    {
      requests: quantities('Resource requests: cpu (such as 1 or 250m) and memory (such as 512Mi).'),
      limits: quantities('Resource limits: cpu and memory.'),
    },
    description,
  )
}
export type Resources = { requests?: Record<string, string | number>; limits?: Record<string, string | number> }

/** A time in status. */
export function time(description: string) {
  return Type.Optional(Type.String({ format: 'date-time', description }))
}

/** A text in status. */
export function text(description: string) {
  return Type.Optional(Type.String({ description }))
}

/** A whole number in status. */
export function count(description: string) {
  return Type.Optional(Type.Integer({ format: 'int64', description }))
}

/** A number of seconds in status. */
export function seconds(description: string) {
  return Type.Optional(Type.Number({ description }))
}
