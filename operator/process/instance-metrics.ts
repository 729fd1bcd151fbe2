import { CONDITION_TYPES, type ConditionStatus } from '../api/conditions.ts'
import type { RunStatus } from '../api/instance/status.ts'
import { RUN_KIND_NAMES } from '../api/run-kinds.ts'
import type { StorageInstance } from '../api/storage-instance.ts'

type Labels = Record<string, string>
type InstanceMetric = {
  help: string
  /** Beside `namespace` and `name`. */
  labelNames: readonly string[]
  series: (instance: StorageInstance) => { labels: Labels; value: number }[]
}

/** Of so many instances, in the order of their names, there are series; each has about thirty at most. */
export const MOST_REPORTED = 2_000

const STATUSES: readonly ConditionStatus[] = ['True', 'False', 'Unknown']

/** What is told of each instance: its status, as the caches hold it. Nothing of it outlasts the instance. */
export const INSTANCE_METRICS: Record<string, InstanceMetric> = {
  storage_instance_condition: {
    help: '1 for the status that a condition of an instance has, 0 for the other two.',
    labelNames: ['type', 'status'],
    series: conditionSeries,
  },
  storage_instance_info: {
    help: 'Always 1; what an instance is made of is in the labels.',
    labelNames: ['database', 'postgres', 'schema', 'image', 'stopped'],
    series: infoSeries,
  },
  storage_instance_run_duration_seconds: {
    help: 'Duration of the latest run of a kind, by its result; none while it is under way.',
    labelNames: ['kind', 'result'],
    series: runSeries,
  },
}

/** The instances that are told of: always the same ones, so that no series comes and goes. */
export function reported(instances: readonly StorageInstance[]): readonly StorageInstance[] {
  if (instances.length <= MOST_REPORTED) return instances
  return instances.toSorted((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1)).slice(0, MOST_REPORTED)
}

/**
 * The metrics of the instances as Prometheus reads them. Written here, and kept with each object of the cache, which never
 * changes: prom-client takes a second of the event loop for the 24,000 series of 1,000 instances, at each scrape.
 */
export class InstanceMetrics {
  /** Of each instance, its lines of each metric. */
  readonly #lines = new WeakMap<StorageInstance, readonly string[]>()

  text(instances: readonly StorageInstance[]): string {
    const told = reported(instances).map((instance) => this.#linesOf(instance))
    const blocks = Object.entries(INSTANCE_METRICS).map(([name, { help }], i) => {
      return `# HELP ${name} ${help}\n# TYPE ${name} gauge\n${told.map((lines) => lines[i]).join('')}`
    })
    return blocks.join('\n')
  }

  #linesOf(instance: StorageInstance): readonly string[] {
    const known = this.#lines.get(instance)
    if (known !== undefined) return known
    const lines = Object.entries(INSTANCE_METRICS).map((metric) => linesOf(metric, instance))
    this.#lines.set(instance, lines)
    return lines
  }
}

function linesOf([name, { series }]: [string, InstanceMetric], instance: StorageInstance): string {
  const { namespace = '', name: instanceName } = instance.metadata
  const own = labelText({ namespace, name: instanceName })
  return series(instance)
    .map(({ labels, value }) => `${name}{${own},${labelText(labels)}} ${value}\n`)
    .join('')
}

function labelText(labels: Labels): string {
  return Object.entries(labels)
    .map(([label, value]) => `${label}="${value.replace(/[\\"]/g, '\\$&').replaceAll('\n', '\\n')}"`)
    .join(',')
}

function nameOf({ metadata }: StorageInstance): string {
  return `${metadata.namespace}/${metadata.name}`
}

function conditionSeries({ status }: StorageInstance) {
  const known = (status?.conditions ?? []).filter(({ type }) => CONDITION_TYPES.includes(type))
  return known.flatMap((condition) =>
    STATUSES.map((one) => ({ labels: { type: condition.type, status: one }, value: Number(condition.status === one) })),
  )
}

function infoSeries({ spec, status }: StorageInstance) {
  const { database, schema, api } = status ?? {}
  const known = { database: database?.kind, postgres: database?.version, schema: schema?.version, image: api?.image }
  const labels = Object.fromEntries(Object.entries(known).map(([label, value]) => [label, value ?? '']))
  // So that alerts can leave it out.
  return [{ labels: { ...labels, stopped: String(spec.stopped === true) }, value: 1 }]
}

function runSeries({ status }: StorageInstance) {
  return RUN_KIND_NAMES.flatMap((kind) => {
    const run: RunStatus | undefined = status?.runs?.[kind]
    if (run?.finishedAt === undefined) return []
    const seconds = (Date.parse(run.finishedAt) - Date.parse(run.startedAt)) / 1_000
    return [{ labels: { kind, result: run.phase }, value: seconds }]
  })
}
