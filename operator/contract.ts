/** What the outside may rely on by name: ports and exit codes of the operator. Imported by the manifests. */

/** Port of `/livez` and `/readyz`. */
export const HEALTH_PORT = 8081
/** Port of the Prometheus metrics. */
export const METRICS_PORT = 9095
/** The Lease that the replicas take turns by, unless LEASE_NAME names another. */
export const LEASE_NAME = 'sonoma-storage-operator'

/** With what the process ends. */
export const EXIT_CODES = {
  stopped: 0,
  failed: 1,
  wrongConfiguration: 2,
  /** The lease ran out or was taken (for instance after the process was frozen): nothing was written any more. */
  leaseLost: 3,
} as const
