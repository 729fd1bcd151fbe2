import Type, { type Static } from 'typebox'
import { group, listByKey, objectName } from '../fields.ts'

/** Which image the service and its migrations run. */
export const Image = group(
  {
    repository: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 512,
        pattern: '^[a-z0-9][-a-zA-Z0-9._:/]*[a-z0-9]$',
        description: "Registry and repository, without a tag. Default: the image of the operator's release.",
      }),
    ),
    tag: Type.Optional(
      Type.String({
        pattern: '^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$',
        description: "Tag of the image. Default: the tag of the operator's release.",
      }),
    ),
    digest: Type.Optional(
      Type.String({
        pattern: '^sha256:[a-f0-9]{64}$',
        description: 'Digest of the image (sha256:...). It takes precedence over the tag.',
      }),
    ),
    pullPolicy: Type.Enum(['Always', 'IfNotPresent', 'Never'], {
      default: 'IfNotPresent',
      description: 'When to pull the image. Default IfNotPresent.',
    }),
    pullSecrets: Type.Optional(
      listByKey(Type.Object({ name: objectName('Name of the Secret.') }), ['name'], {
        maxItems: 16,
        description:
          'Secrets of type kubernetes.io/dockerconfigjson for pulling the images of all pods, PostgreSQL included.',
      }),
    ),
  },
  "Image of the service, its migrations and probes. Default: the operator's release.",
)
export type Image = Static<typeof Image>
