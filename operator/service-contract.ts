/** What the operator relies on of the service and its images; a test holds it equal to the service's own word. */

/** Port of the HTTP interface. */
export const HTTP_PORT = 8003
/** Port of the Prometheus metrics. */
export const METRICS_PORT = 9095
