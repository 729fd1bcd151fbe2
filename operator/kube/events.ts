import type { KubeObject } from '../api/object.ts'

/** An event to be shown by `kubectl describe`. */
export type EventRequest = {
  /** The object it is about. */
  regarding: KubeObject
  type: 'Normal' | 'Warning'
  /** From the closed list of reasons. */
  reason: string
  /** For people; at most 1,024 bytes are kept. Never a secret. */
  message: string
  /** What was being done, for instance `Reconcile` or `Migrate`. */
  action: string
}

/** Tells events; equal ones become one with a count. Never throws and never waits: an event that cannot be written is lost. */
export type EventRecorder = { record(event: EventRequest): void }
