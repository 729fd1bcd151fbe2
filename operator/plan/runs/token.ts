import { ANNOTATIONS } from '../../api/labels.ts'
import type { RequestedKind } from '../../api/run-kinds.ts'
import type { StorageInstance } from '../../api/storage-instance.ts'

/**
 * The newest token by which somebody asked for a run of a kind. The annotation has room for one: what it asked for before, of
 * another kind, is in the status.
 */
export function tokenOf({ metadata, status }: StorageInstance, kind: RequestedKind): string | undefined {
  const isOfKind = (token: string | undefined) => token?.startsWith(`${kind}-`)
  const asked = metadata.annotations?.[ANNOTATIONS.run]
  const known = status?.runTokens?.[kind] ?? status?.lastRunToken
  return [asked, known].find(isOfKind)
}
