/** How much is logged, least first. */
export const LOG_LEVELS = ['off', 'error', 'warn', 'info', 'debug', 'trace'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

/** Everything that can be set from outside, checked. */
export type Config = {
  /** The namespaces whose instances are reconciled; none: all of them. */
  watchNamespaces: string[]
  /** Where the operator itself runs, and its Lease is. */
  namespace: string
  /** The name of this replica, unique among them. */
  podName: string
  lease: { name: string; durationMs: number; renewDeadlineMs: number; retryPeriodMs: number }
  workers: number
  logLevel: LogLevel
  host: string
  healthPort: number
  metricsPort: number
  /** What instances run that name no image of their own. */
  images: { service: string; postgres: string }
  /** A kubeconfig file; undefined: that of the pod's service account. */
  kubeconfig: string | undefined
}
