import { GROUP } from '../api/labels.ts'

/** Annotations that the operator writes on children, for itself. */
export const CHILD_ANNOTATIONS = {
  /** Hash of everything that was applied: tells a changed wish from a child that somebody edited. */
  applied: `${GROUP}/applied`,
  /** On pods: a keyed hash of the credentials that they were started with, or the word of an earlier version of the operator. */
  databaseSecret: `${GROUP}/database-secret`,
  /** On their owner: that hash, where the pods carry an earlier word for the same credentials. */
  databaseSecretHash: `${GROUP}/database-secret-hash`,
  /** On pods: a keyed hash of the URL past a pooler, where they have one. */
  directSecret: `${GROUP}/direct-secret`,
  /** On the owner of the service's pods: the image that was asked for; admission may have put another one into the pods. */
  image: `${GROUP}/image`,
  /** On the Secret of a certificate: until when it is valid. */
  expires: `${GROUP}/expires`,
  /** On that Secret and on pods: which certificate it holds or they know; absent for the first one. */
  certificate: `${GROUP}/certificate`,
  /** On the list of those who may call: it names, or once named, somebody. Without it an empty list lets the own namespace in. */
  allowList: `${GROUP}/allow-list`,
  /** On pods: hash of the configuration that they read at their start only. */
  configuration: `${GROUP}/configuration`,
  /** On a claim: `true` where it has the data of its instance, `false` where a restore has put another in its place. */
  currentData: `${GROUP}/current-data`,
  /** On a claim: the uid of the instance that uses it. */
  instanceUid: `${GROUP}/instance-uid`,
  /** On a claim: the uid of an instance that is gone and left it. */
  retainedFrom: `${GROUP}/retained-from`,
} as const

/** The note of credentials on the owner of pods that carry an earlier word for them; undefined where they carry the hash. */
export function secretNote({ secretDigest }: { secretDigest?: string }): Record<string, string> | undefined {
  return secretDigest === undefined ? undefined : { [CHILD_ANNOTATIONS.databaseSecretHash]: secretDigest }
}
