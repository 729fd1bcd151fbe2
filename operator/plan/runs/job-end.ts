import type { Job, Pod } from '../live-objects.ts'

export type JobEnd = { succeeded: boolean; reason: string; at: number }

/** How a Job ended; undefined while it goes on. */
export function endOf({ status }: Job): JobEnd | undefined {
  const end = (status?.conditions ?? []).find(
    ({ type, status: isSo }) => isSo === 'True' && (type === 'Complete' || type === 'Failed'),
  )
  if (end === undefined) return undefined
  const at = Date.parse(end.lastTransitionTime ?? '') || 0
  return { succeeded: end.type === 'Complete', reason: end.reason ?? '', at }
}

/** Whether the containers of a pod have not all ended, as far as its node has told. */
export function isAlive({ status }: Pod): boolean {
  return !['Succeeded', 'Failed'].includes(status?.phase ?? '')
}
