import { createHash } from 'node:crypto'
import type { Subnet } from './subnet.ts'

/** What makes one node differ from another on the same machine. */
export type Settings = {
  /** The network interface on the machine's side, and the path of the node's control group. */
  link: string
  cgroup: string
  /** The two ends of the link between the machine and the node. */
  subnet: Subnet
  /** Whether the machine may lower oom_score_adj and raise limits (CAP_SYS_RESOURCE). */
  mayRaise: boolean
}

/** Names that mean the same in every cluster of ours. */
export const NODE_NAME = 'node'
export const DOMAIN = 'cluster.local'
export const POD_RANGE = '10.244.0.0/16'
export const SERVICE_RANGE = '10.96.0.0/16'
export const API_SERVICE = '10.96.0.1'
export const DNS_SERVICE = '10.96.0.10'
export const API_PORT = 6443
export const ISSUER = `https://kubernetes.default.svc.${DOMAIN}`

/** Where the node's folder is as its own programs see it: short, whatever the path outside. */
export const INSIDE = '/mnt'

/** Names that are derived from the folder, so that clusters of several checkouts do not meet. */
export function namesOf(folder: string): { link: string; cgroup: string } {
  const digest = createHash('sha256').update(folder).digest('hex').slice(0, 6)
  return { link: `sonoma-${digest}`, cgroup: `sonoma-${digest}` }
}
