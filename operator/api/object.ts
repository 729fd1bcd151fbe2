/** Who an object belongs to; it goes when its owner goes. */
export type OwnerReference = {
  apiVersion: string
  kind: string
  name: string
  uid: string
  controller?: boolean
  blockOwnerDeletion?: boolean
}

/** What every object of Kubernetes carries. What only the API server sets is absent in an object that is to be applied. */
export type ObjectMeta = {
  name: string
  namespace?: string
  labels?: Record<string, string>
  annotations?: Record<string, string>
  ownerReferences?: OwnerReference[]
  finalizers?: string[]
  uid?: string
  resourceVersion?: string
  generation?: number
  creationTimestamp?: string
  deletionTimestamp?: string
}

/** Any object of Kubernetes; what is beside these belongs to its kind. */
export type KubeObject = { apiVersion: string; kind: string; metadata: ObjectMeta }

/** An object with a spec and a status of known form. */
export type CustomObject<Spec, Status> = KubeObject & { spec: Spec; status?: Status }
