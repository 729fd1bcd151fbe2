import { childName } from '../../api/names.ts'
import { findOwn, type Observed, type StatefulSet } from '../observed.ts'

/** The server of a managed database that is there, where it is ours. */
export function liveDatabase(observed: Pick<Observed, 'instance' | 'children'>): StatefulSet | undefined {
  const name = childName(observed.instance.metadata.name, 'db')
  return findOwn<StatefulSet>(observed, { kind: 'StatefulSet', metadata: { name } })
}
