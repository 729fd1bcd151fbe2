import { adoptions } from './children/adopt.ts'
import { drop, keep } from './children/keep.ts'
import { obstacleStep } from './children/obstacles.ts'
import { builtChildren, unwantedChildren } from './children/table.ts'
import { keepHashKey } from './hash-key.ts'
import type { Observed } from './observed.ts'
import { leftovers } from './runs/runs.ts'
import type { Step } from './step.ts'

/**
 * What stands around the service's pods and can be there before them; and what is left of runs goes. `mayGrow`: the database
 * can carry more pods.
 */
export function checkSurroundings(observed: Observed, mayGrow: boolean): Step {
  const kept = [keepHashKey(observed), ...builtChildren(observed, mayGrow).map((manifest) => keep(observed, manifest))]
  const unwanted = unwantedChildren(observed).flatMap((child) => drop(observed, child))
  const actions = [
    ...adoptions(observed),
    ...kept.flatMap((keeping) => keeping.actions),
    ...unwanted,
    ...leftovers(observed),
  ]
  return obstacleStep(kept, actions) ?? { state: 'done', actions }
}
