import { childName } from '../../api/names.ts'
import type { KubeObject } from '../../api/object.ts'
import { CHILD_ANNOTATIONS } from '../../desired/annotations.ts'
import { type Deployment, findChild, type Observed } from '../observed.ts'
import { rfc3339 } from '../runs/runs.ts'
import { liveDatabase } from './live.ts'

const DAY_MS = 86_400_000
/** PostgreSQL reads a certificate at its start: a long life, so that it is not restarted for it more often than for anything else. */
const LIFE_MS = 3_650 * DAY_MS
/** So long before its end a certificate is renewed: time enough for an operator that is away, or an instance that is paused. */
const RENEW_BEFORE_MS = 90 * DAY_MS
/** So long before its end the server is not left with an old one any more. */
const URGENT_MS = 30 * DAY_MS
const LEAST_LOOK_MS = 10_000

/** The notes of a certificate that is made now: until when it is valid. */
export function certificateNotes({ now }: Observed): Record<string, string> {
  return { [CHILD_ANNOTATIONS.expires]: rfc3339(new Date(now.getTime() + LIFE_MS)) }
}

/** The notes of one that is made now in the place of another: pods that know it say so by the same word. */
export function renewalNotes(observed: Observed): Record<string, string> {
  return { ...certificateNotes(observed), [CHILD_ANNOTATIONS.certificate]: rfc3339(observed.now) }
}

/** Milliseconds until the certificate in a Secret has to be renewed; 0 and less: now. */
export function renewalDueMs({ now }: Observed, { metadata }: KubeObject): number {
  const noted = Date.parse(metadata.annotations?.[CHILD_ANNOTATIONS.expires] ?? '')
  const expiresAt = Number.isNaN(noted) ? Date.parse(metadata.creationTimestamp ?? '') + LIFE_MS : noted
  return expiresAt - RENEW_BEFORE_MS - now.getTime()
}

/** When to look again for a renewal, in milliseconds: a timer of years would be of no use. */
export function renewalLookMs(observed: Observed): number {
  const secret = liveCertificate(observed)
  return secret === undefined ? DAY_MS : Math.min(DAY_MS, Math.max(LEAST_LOOK_MS, renewalDueMs(observed, secret)))
}

/** Which certificate the service is to trust; undefined: the first one, which every pod knows. */
export function wantedCertificate(observed: Observed): string | undefined {
  return liveCertificate(observed)?.metadata.annotations?.[CHILD_ANNOTATIONS.certificate]
}

/** Which certificate the server is to be started with: a new one not before every pod of the service trusts it. */
export function servedCertificate(observed: Observed): string | undefined {
  const wanted = wantedCertificate(observed)
  if (wanted === undefined || isTrusted(observed, wanted)) return wanted
  return liveDatabase(observed)?.spec?.template?.metadata?.annotations?.[CHILD_ANNOTATIONS.certificate]
}

/** Whether the certificate that the server was started with is good for as long as a restart may have to wait. */
export function lastsForNow(observed: Observed, served: string | undefined): boolean {
  const madeAt = Date.parse(served ?? liveCertificate(observed)?.metadata.creationTimestamp ?? '')
  return !(madeAt + LIFE_MS - observed.now.getTime() < URGENT_MS)
}

function liveCertificate(observed: Observed): KubeObject | undefined {
  return findChild(observed, {
    kind: 'Secret',
    metadata: { name: childName(observed.instance.metadata.name, 'db-tls') },
  })
}

function isTrusted(observed: Observed, certificate: string): boolean {
  const name = childName(observed.instance.metadata.name, 'api')
  const live = findChild<Deployment>(observed, { kind: 'Deployment', metadata: { name } })
  if (live === undefined) return true
  const { metadata, spec, status } = live
  const isWanted = spec?.template?.metadata?.annotations?.[CHILD_ANNOTATIONS.certificate] === certificate
  const isSeen = status?.observedGeneration === metadata.generation
  return isWanted && isSeen && (status?.updatedReplicas ?? 0) === (status?.replicas ?? 0)
}
