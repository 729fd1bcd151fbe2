import { childName } from '../../api/names.ts'
import { CHILD_ANNOTATIONS } from '../../desired/annotations.ts'
import type { DatabaseOptions } from '../../desired/database/stateful-set.ts'
import { findOwn, type Observed, type StatefulSet } from '../observed.ts'

/** The server of a managed database that is there, where it is ours. */
export function liveDatabase(observed: Pick<Observed, 'instance' | 'children'>): StatefulSet | undefined {
  const name = childName(observed.instance.metadata.name, 'db')
  return findOwn<StatefulSet>(observed, { kind: 'StatefulSet', metadata: { name } })
}

/** What a server that is there was made with, as far as it tells. */
export type ServedOptions = Pick<
  DatabaseOptions,
  'image' | 'configuration' | 'resources' | 'secretVersion' | 'claimName'
> & {
  certificate: string | undefined
}

/** Reads it from its pod. */
export function servedOptions({ spec }: StatefulSet): ServedOptions {
  const { metadata, spec: pod } = spec?.template ?? {}
  const notes = metadata?.annotations ?? {}
  const server = pod?.containers?.find(({ name }) => name === 'postgres')
  const data = pod?.volumes?.find(({ name }) => name === 'data')
  return {
    image: server?.image ?? '',
    configuration: notes[CHILD_ANNOTATIONS.configuration] ?? '',
    resources: server?.resources ?? {},
    secretVersion: notes[CHILD_ANNOTATIONS.databaseSecret] ?? '',
    certificate: notes[CHILD_ANNOTATIONS.certificate],
    claimName: data?.persistentVolumeClaim?.claimName ?? '',
  }
}
