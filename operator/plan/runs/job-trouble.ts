import type { Job, Observed } from '../observed.ts'
import type { Trouble } from '../pod-trouble.ts'
import { podlessTrouble, startTrouble } from '../start-trouble.ts'
import { jobWaitMs } from '../unexplained.ts'
import { podsOf } from './job-end.ts'

/** Why the task of a Job has not begun; how one ended that ran is in its report. */
export function jobTrouble(observed: Observed, job: Job): Trouble | undefined {
  const pending = podsOf(observed.pods, job).filter(({ status }) => status?.phase === 'Pending')
  return startTrouble(observed, pending) ?? podlessTrouble(observed, job, jobWaitMs(observed, job))
}
