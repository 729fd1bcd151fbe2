import type { Resources } from '../api/fields.ts'
import type { KubeObject } from '../api/object.ts'

/** What the API server answers, as far as plan and status look into it. */

export type LiveCondition = {
  type: string
  status: string
  reason?: string
  message?: string
  lastTransitionTime?: string
}

export type ContainerEnd = { exitCode: number; reason?: string; message?: string; finishedAt?: string }

export type ContainerStatus = {
  name: string
  ready?: boolean
  restartCount?: number
  state?: { waiting?: { reason?: string; message?: string }; running?: object; terminated?: ContainerEnd }
  lastState?: { terminated?: ContainerEnd }
}

export type Pod = KubeObject & {
  spec?: { nodeName?: string; containers?: { name: string; image?: string }[] }
  status?: {
    phase?: string
    reason?: string
    message?: string
    conditions?: LiveCondition[]
    initContainerStatuses?: ContainerStatus[]
    containerStatuses?: ContainerStatus[]
  }
}

export type PodTemplate = {
  metadata?: { annotations?: Record<string, string> }
  spec?: {
    containers?: LiveContainer[]
    volumes?: { name: string; persistentVolumeClaim?: { claimName?: string } }[]
  }
}

export type LiveContainer = {
  name: string
  image?: string
  resources?: Resources
  env?: { name: string; value?: string }[]
}

export type Deployment = KubeObject & {
  spec?: { replicas?: number; template?: PodTemplate }
  status?: {
    observedGeneration?: number
    replicas?: number
    updatedReplicas?: number
    readyReplicas?: number
    availableReplicas?: number
    conditions?: LiveCondition[]
  }
}

export type StatefulSet = KubeObject & {
  spec?: { replicas?: number; template?: PodTemplate }
  status?: {
    observedGeneration?: number
    readyReplicas?: number
    updatedReplicas?: number
    currentRevision?: string
    updateRevision?: string
  }
}

export type Autoscaler = KubeObject & { spec?: { minReplicas?: number; maxReplicas?: number } }

export type Job = KubeObject & {
  status?: { active?: number; startTime?: string; completionTime?: string; conditions?: LiveCondition[] }
}

/** What was said last of an object, as an event has it. */
export type LiveEvent = { reason: string; message: string; isWarning: boolean }

export type Claim = KubeObject & {
  spec?: { storageClassName?: string; resources?: { requests?: { storage?: string } } }
  status?: { phase?: string; capacity?: { storage?: string }; conditions?: LiveCondition[] }
}
