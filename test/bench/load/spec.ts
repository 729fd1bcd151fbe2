import type { LatencySummary } from '../statistics.ts'

/** What the load process can be asked to do. `first` is the index of the first item or document: it makes them new. */
export type LoadSpec =
  | { kind: 'requests'; connections: number; requests: { method: string; path: string; body?: unknown }[] }
  | PushSpec
  | { kind: 'pop-ack'; connections: number; batch: number; amount: number }
  | DocumentsSpec
  | { kind: 'get'; connections: number; ids: string[]; amount: number }
  | PoliteSpec
  | { kind: 'paced-pop'; connections: number; perSecond: number; seconds: number }
  | { kind: 'import'; file: string }
  | { kind: 'export' }

/** Pushes items whose ids are their urls, or UUIDs made from these. */
export type PushSpec = {
  kind: 'push'
  connections: number
  batch: number
  first: number
  amount: number
  ids?: 'urls' | 'uuids'
}

/**
 * Posts `amount` documents of the numbers below `of`, over and over, each time as a later crawl; in scattered order where
 * `scatter` is set.
 */
export type DocumentsSpec = {
  kind: 'documents'
  connections: number
  batch: number
  first: number
  amount: number
  of: number
  scatter: boolean
  crawl: number
}

/** Pops with leases until `amount` items have come; `polite` says what the answers must keep to. */
export type PoliteSpec = {
  kind: 'polite'
  connections: number
  batch: number
  amount: number
  leaseSeconds: number
  polite?: { perHost: number; delaySeconds: number; busyHosts: string }
}

/** What came out of a run. `rows` are items or documents; latencies are those of single requests. */
export type LoadResult = {
  rows: number
  seconds: number
  requests: number
  latency?: LatencySummary
  violations?: string[]
  /** CPU of a baseline that is a script and so has no server. */
  scriptCpuSeconds?: number
  /** Receipts that are still open, for a later `requests` run to settle. */
  receipts?: string[]
}

/** Messages from the bench to the load process. */
export type LoadCommand = { command: 'prepare'; port: number; spec: LoadSpec } | { command: 'run' }

/** Messages back. */
export type LoadAnswer = { prepared: true } | { result: LoadResult } | { error: string }
