import type { Observed, RunRequest } from './observed.ts'
import type { Step } from './step.ts'

/** What is made of a StorageBackup or StorageRestore. */
export type RequestPlan = { request: RunRequest; step: Step }

/** What each StorageBackup and StorageRestore of an instance takes. */
export function planRequests({ requests }: Pick<Observed, 'requests'>): RequestPlan[] {
  return requests.filter(isWanted).map((request) => ({ request, step: notImplemented(request) }))
}

/** The same where there is no such instance. It may come: files are applied in any order. */
export function planStrayRequests(requests: readonly RunRequest[]): RequestPlan[] {
  return requests.filter(isWanted).map((request) => ({ request, step: withoutInstance(request) }))
}

function isWanted({ metadata }: RunRequest): boolean {
  return metadata.deletionTimestamp === undefined
}

function notImplemented({ kind }: RunRequest): Step {
  const what = kind === 'StorageBackup' ? 'makes no backups' : 'restores nothing'
  const message = `This version of the operator ${what}: nothing was done. Delete this object, or keep it for a later version.`
  return { state: 'blocked', why: { reason: 'NotImplemented', message } }
}

function withoutInstance({ spec, metadata }: RunRequest): Step {
  const message = `There is no StorageInstance ${spec.instanceRef.name} in the namespace ${metadata.namespace}.`
  return { state: 'waiting', why: { reason: 'InstanceNotFound', message } }
}
