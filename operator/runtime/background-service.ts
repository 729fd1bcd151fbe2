/** The one shape of everything that runs beside the rest: watches, workers, the lease, events. */
export type BackgroundService = {
  /** For logs and metrics. */
  readonly name: string
  /** Begins; answers at once. Never throws: trouble is retried inside and told by log and metric. */
  start(): void
  /** Ends: nothing is begun any more, what is under way is finished or aborted. Resolves when it is still. May be called twice. */
  stop(): Promise<void>
  /** One round of the work without the loop around it, for tests and commands; rejects where it failed. */
  runOnce?(): Promise<void>
}
