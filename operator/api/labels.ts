import type { Component } from './names.ts'

/** Group of the custom resources. */
export const GROUP = 'storage.sonoma.dev'
/** Their version. */
export const VERSION = 'v1alpha1'
/** `apiVersion` of the custom resources. */
export const API_VERSION = `${GROUP}/${VERSION}`

/** The operator's name: `app.kubernetes.io/managed-by` of every child. */
export const MANAGED_BY = 'sonoma-storage-operator'
/** Field manager of everything that the operator writes. */
export const FIELD_MANAGER = MANAGED_BY

const APPLICATION = 'sonoma-storage'

/** Keys of the labels that the operator reads back. */
export const LABELS = {
  name: 'app.kubernetes.io/name',
  instance: 'app.kubernetes.io/instance',
  component: 'app.kubernetes.io/component',
  partOf: 'app.kubernetes.io/part-of',
  managedBy: 'app.kubernetes.io/managed-by',
  version: 'app.kubernetes.io/version',
  /** Name of the StorageInstance that a child belongs to. */
  storageInstance: `${GROUP}/instance`,
  /** Name of the run that a Job belongs to. */
  run: `${GROUP}/run`,
} as const

/** Keys of the annotations that people set on a StorageInstance. */
export const ANNOTATIONS = {
  /** `migrate-<token>`: requests a migration run; each token requests one. */
  run: `${GROUP}/run`,
  /** The instance's own name: confirms `deletionPolicy: Delete`. */
  confirmDelete: `${GROUP}/confirm-delete`,
  /** The present owner of the database, as the condition names it: this instance takes the database over from it. */
  takeOver: `${GROUP}/take-over`,
} as const

/** Selects what the operator manages, of every instance. */
export const MANAGED_SELECTOR = `${LABELS.managedBy}=${MANAGED_BY}`

/** All labels of a child; `version` is the release of what runs in it and belongs on no selector. */
export function labelsOf(instance: string, component: Component, version?: string): Record<string, string> {
  return {
    ...selectorOf(instance, component),
    [LABELS.partOf]: APPLICATION,
    [LABELS.managedBy]: MANAGED_BY,
    [LABELS.storageInstance]: instance,
    ...(version === undefined ? {} : { [LABELS.version]: version }),
  }
}

/** The labels that select the pods of one component of one instance. They never change: selectors are immutable. */
export function selectorOf(instance: string, component: Component): Record<string, string> {
  return { [LABELS.name]: APPLICATION, [LABELS.instance]: instance, [LABELS.component]: component }
}

/** A selector in the form of `kubectl -l`. */
export function selectorText(labels: Record<string, string>): string {
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(',')
}
