import fc from 'fast-check'
import type { PartialSpec, World } from './world.ts'

/** What people may ask for. */
export const specs: fc.Arbitrary<PartialSpec> = fc.record(
  {
    image: fc.record({ tag: fc.constantFrom('1', '2', '3') }),
    api: fc.record({ replicas: fc.integer({ min: 0, max: 4 }), poolSize: fc.constantFrom(10, 20) }),
    migrations: fc.record({ onDrift: fc.constantFrom('Alert', 'Ignore') }),
    database: fc.record({ managed: fc.record({ parameters: fc.record({ work_mem: fc.constantFrom('8MB', '9MB') }) }) }),
    stopped: fc.boolean(),
    deletionPolicy: fc.constantFrom('Retain', 'Delete'),
  },
  { requiredKeys: [] },
)
/** What may happen between two reconciles. */
export const happenings: fc.Arbitrary<Happening> = fc.oneof(
  specs.map((spec) => ({ kind: 'change' as const, spec })),
  fc
    .constantFrom(
      ...([
        'nothing',
        'flourish',
        'killPods',
        'deleteJob',
        'fail',
        'deleteChild',
        'wait',
        'release',
        'secret',
      ] as const),
    )
    .map((kind) => ({ kind })),
)
export type Happening = { kind: string; spec?: PartialSpec }

/** Lets it happen, in a second or more. */
export function happen(world: World, { kind, spec }: Happening): void {
  const last = world.jobs.at(-1)
  if (kind === 'change') world.change(spec ?? {})
  if (kind === 'flourish') world.flourish()
  if (kind === 'killPods' && last) world.endJob(last.metadata.name, undefined)
  if (kind === 'fail' && last) world.endJob(last.metadata.name, { code: 'failed', error: 'no' })
  // One that nobody has seen yet is made again, under the same name: it is the same run.
  const runs = Object.values(world.instance.status?.runs ?? {})
  if (kind === 'deleteJob' && last && runs.every(({ phase }) => phase !== 'Pending')) {
    world.jobs = world.jobs.filter((job) => job !== last)
    world.pods = world.pods.filter((pod) => pod.metadata.ownerReferences?.[0]?.uid !== last.metadata.uid)
  }
  surround(world, kind)
  world.pass(kind === 'wait' ? 3_600 : 1)
}

/** What happens to an instance from outside of its runs. */
function surround(world: World, kind: string): void {
  if (kind === 'deleteChild') world.children = world.children.filter(({ kind: of }) => of !== 'Service')
  if (kind === 'release') world.release = { ...world.release, postgresImage: `postgres:${world.made.length}` }
  if (kind === 'secret') world.secretTurns += 1
}

/** Jobs that use the database and have not ended; a trial of settings touches none. */
export const alive = ({ jobs }: World) =>
  jobs.filter(({ metadata, status }) => /-(migrate|provision)-/.test(metadata.name) && status?.conditions === undefined)
    .length
