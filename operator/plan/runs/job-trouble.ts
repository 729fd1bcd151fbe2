import type { ConditionType } from '../../api/conditions.ts'
import { LABELS } from '../../api/labels.ts'
import type { Observed } from '../observed.ts'
import { troubleOf, troubleStep } from '../pod-trouble.ts'
import type { Step } from '../step.ts'

/** Why the pod of a run does not run at all; how one ended that ran is in its report. */
export function jobTrouble(observed: Observed, run: string, type: ConditionType): Step | undefined {
  const pods = observed.pods.filter(
    ({ metadata, status }) => metadata.labels?.[LABELS.run] === run && status?.phase === 'Pending',
  )
  const trouble = troubleOf(pods, observed.now)
  return trouble && troubleStep(type, trouble)
}
