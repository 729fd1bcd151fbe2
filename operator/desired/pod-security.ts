/** The user and group of both images. */
const USER_ID = 65_532

/** What Pod Security *restricted* asks of a pod. Files of volumes belong to the group, so that the user may write. */
export const POD_SECURITY = {
  runAsNonRoot: true,
  runAsUser: USER_ID,
  runAsGroup: USER_ID,
  fsGroup: USER_ID,
  // Without it every start would walk through the whole volume.
  fsGroupChangePolicy: 'OnRootMismatch',
  seccompProfile: { type: 'RuntimeDefault' },
}

/** The same for each container. */
export const CONTAINER_SECURITY = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ['ALL'] },
}

/** A folder that lives as long as its pod; in memory it counts as memory of the container that writes. */
export function emptyDir(
  name: string,
  options: { medium?: 'Memory'; sizeLimit?: string } = {},
): {
  name: string
  emptyDir: { medium?: 'Memory'; sizeLimit?: string }
} {
  return { name, emptyDir: options }
}
