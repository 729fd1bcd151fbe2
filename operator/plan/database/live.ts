import { childName } from '../../api/names.ts'
import { findChild, isOurs, type Observed, type StatefulSet } from '../observed.ts'

/** The server of a managed database that is there, where it is ours. */
export function liveDatabase(observed: Observed): StatefulSet | undefined {
  const name = childName(observed.instance.metadata.name, 'db')
  const live = findChild<StatefulSet>(observed, { kind: 'StatefulSet', metadata: { name } })
  return live && isOurs(observed.instance, live) ? live : undefined
}
