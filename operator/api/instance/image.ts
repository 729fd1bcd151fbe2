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
        description: "Registry and name, without a tag. Default: the operator's own release.",
      }),
    ),
    tag: Type.Optional(
      Type.String({
        pattern: '^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$',
        description: "Tag of the image. Default: the operator's own release.",
      }),
    ),
    digest: Type.Optional(
      Type.String({
        pattern: '^sha256:[a-f0-9]{64}$',
        description: 'Digest of the image (sha256:...); it counts more than the tag.',
      }),
    ),
    pullPolicy: Type.Enum(['Always', 'IfNotPresent', 'Never'], {
      default: 'IfNotPresent',
      description: 'When the image is pulled. Default IfNotPresent.',
    }),
    pullSecrets: Type.Optional(
      listByKey(Type.Object({ name: objectName("The Secret's name.") }), ['name'], {
        maxItems: 16,
        description: 'Secrets (kubernetes.io/dockerconfigjson) to pull the image with.',
      }),
    ),
  },
  "Image of the service and of its migrations. Default: the operator's own release.",
)
export type Image = Static<typeof Image>
