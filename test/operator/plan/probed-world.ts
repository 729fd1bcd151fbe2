import type { Job } from '../../../operator/plan/live-objects.ts'
import { runProbeTask } from '../../../operator/tasks/probe-task.ts'
import { createTaskLog } from '../../../operator/tasks/task-log.ts'
import { toLine } from '../../../operator/tasks/termination-message.ts'
import { instanceOf, World } from './world.ts'

/** Addresses of an external database, by the field of the spec that refers to their Secret. */
export type Addresses = { secretRef: string; ownerSecretRef?: string; directSecretRef?: string }

type Condition = NonNullable<ReturnType<World['condition']>>
type ProbeContainer = { env: { name: string; valueFrom: { secretKeyRef: { name: string } } }[] }
type ProbeSpec = { template: { spec: { containers: [ProbeContainer] } } }

// An unsuitable database is looked at again after ten minutes.
const LOOK_SECONDS = 601
const log = createTaskLog('probe', () => undefined)

/** An instance on an external database. Its probe Jobs really run, against the servers at these addresses. */
export class ProbedWorld {
  readonly world: World
  readonly #addresses: Addresses

  constructor(addresses: Addresses) {
    this.#addresses = addresses
    const references = Object.keys(addresses).map((field) => [field, { name: field, key: 'uri' }])
    this.world = new World(instanceOf({ database: { external: Object.fromEntries(references) } }))
    const usable = { state: 'usable', version: 'v-1' } as const
    const direct = addresses.directSecretRef === undefined ? {} : { direct: usable }
    this.world.external = { service: usable, owner: usable, ...direct }
  }

  /** Lets time pass until a probe is due, runs it, and answers what the plan makes of it. */
  async look(): Promise<Condition> {
    this.world.pass(LOOK_SECONDS)
    this.world.step()
    const job = this.world.jobs.findLast(({ status }) => status?.conditions === undefined)
    if (job === undefined) throw new Error('No probe is due.')
    const { message } = await runProbeTask(this.#environment(job), log)
    this.world.endJob(job.metadata.name, JSON.parse(toLine(message)))
    this.world.step()
    return this.world.condition('DatabaseReachable') as Condition
  }

  /** What was made beside Jobs that probe: nothing, where the database is left alone. */
  get made(): string[] {
    const jobs = this.world.made.filter((name) => !name.includes('-probe-'))
    return [...jobs, ...(this.world.find('Deployment', 'crawl-api') ? ['crawl-api'] : [])]
  }

  #environment(job: Job): Record<string, string | undefined> {
    const [{ env }] = (job as Job & { spec: ProbeSpec }).spec.template.spec.containers
    const addresses: Record<string, string | undefined> = this.#addresses
    return Object.fromEntries(env.map(({ name, valueFrom }) => [name, addresses[valueFrom.secretKeyRef.name]]))
  }
}
