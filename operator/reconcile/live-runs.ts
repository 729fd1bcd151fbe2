import { LABELS } from '../api/labels.ts'
import type { StorageInstance } from '../api/storage-instance.ts'
import type { KubeClient } from '../kube/client.ts'
import { JOBS, PODS } from '../kube/resources.ts'
import type { Job, Pod } from '../plan/live-objects.ts'
import { isOurs } from '../plan/observed.ts'
import { endOf, isAlive } from '../plan/runs/job-end.ts'
import { isActive } from '../plan/runs/runs.ts'

type Runs = { jobs: readonly Job[]; pods: readonly Pod[] }

/**
 * Jobs and pods as the caches have them, and for a run that is under way and that the caches do not explain, as the API server
 * has them: a cache that is behind, as after a change of leader, would have a run taken for lost, and begun a second time.
 */
export async function readRuns(
  client: KubeClient,
  instance: StorageInstance,
  { cached, signal }: { cached: Runs; signal: AbortSignal },
): Promise<Runs> {
  let runs = cached
  for (const run of Object.values(instance.status?.runs ?? {}).filter(isActive)) {
    runs = await complete(client, instance, { runs, name: run.name, signal })
  }
  return runs
}

type Look = { runs: Runs; name: string; signal: AbortSignal }

async function complete(client: KubeClient, instance: StorageInstance, { runs, name, signal }: Look): Promise<Runs> {
  const { namespace } = instance.metadata
  const known = runs.jobs.find(({ metadata }) => metadata.name === name)
  if (known !== undefined && isExplained(runs.pods, known)) return runs
  const job = known ?? (await client.get<Job>(JOBS, namespace, name, { signal }))
  if (job === undefined || !isOurs(instance, job)) return runs
  const labelSelector = `${LABELS.run}=${name}`
  const { items } = await client.list<Pod>(PODS, { namespace, labelSelector, signal })
  const others = runs.pods.filter((pod) => pod.metadata.labels?.[LABELS.run] !== name)
  return { jobs: known ? runs.jobs : [...runs.jobs, job], pods: [...others, ...items] }
}

/** A Job that goes on, or one whose pod has been seen to end. */
function isExplained(pods: readonly Pod[], job: Job): boolean {
  const own = pods.filter(({ metadata }) => metadata.labels?.[LABELS.run] === job.metadata.name)
  return endOf(job) === undefined || own.some((pod) => !isAlive(pod))
}
