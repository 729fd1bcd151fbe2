import type { KubeObject } from '../../api/object.ts'
import type { Action } from '../action.ts'
import { findChild, isOurs, type Observed } from '../observed.ts'

/**
 * The object of somebody else that an action would change or delete; undefined where there is none. No check has to know
 * this: nothing is carried out without having been asked for here. What makes a new object never changes one that is there.
 */
export function foreignTarget(observed: Observed, action: Action): KubeObject | undefined {
  if (action.do === 'create' || action.do === 'issue') return undefined
  const { kind, name } =
    action.do === 'delete' ? action.target : { ...action.object.metadata, kind: action.object.kind }
  const live = [...observed.children, ...observed.jobs].find((one) => one.kind === kind && one.metadata.name === name)
  return live && !isOurs(observed.instance, live) ? live : undefined
}

/** Whether a name is taken by an object of somebody else, so that nothing of ours may refer to it. */
export function isTaken(world: Pick<Observed, 'instance' | 'children'>, kind: string, name: string): boolean {
  const live = findChild(world, { kind, metadata: { name } })
  return live !== undefined && !isOurs(world.instance, live)
}
