import type { ReconcilerParts } from './parts.ts'
import type { ReconcileResult } from './runtime/workers.ts'

/** Brings one StorageInstance to where its spec wants it. */
export class Reconciler {
  readonly #parts: ReconcilerParts

  constructor(parts: ReconcilerParts) {
    this.#parts = parts
  }

  /** Level-triggered and idempotent; rejects where a step failed and is to be tried again. */
  async reconcile(key: string, _signal: AbortSignal): Promise<ReconcileResult> {
    this.#parts.log.debug({ instance: key }, 'seen')
    return {}
  }
}
