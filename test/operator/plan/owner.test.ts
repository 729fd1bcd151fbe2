import { expect, test } from 'vitest'
import { ANNOTATIONS } from '../../../operator/api/labels.ts'
import { instanceOf, World } from './world.ts'

const SECRET = { state: 'usable', version: 'v-1' } as const
const EXTERNAL = { database: { external: { secretRef: { name: 'crawl-app', key: 'uri' } } } }
const FIGURES = { versionNumber: 170_006, version: '17.6', maxConnections: 200 }

function worldIn(clusterId: string, spec = {}): World {
  const world = new World(instanceOf(spec))
  world.external = { service: SECRET, owner: SECRET }
  world.release = { ...world.release, clusterId }
  return world
}

function takeOver(world: World, owner: string): void {
  const { metadata } = world.instance
  const annotations = { ...metadata.annotations, [ANNOTATIONS.takeOver]: owner }
  world.instance = { ...world.instance, metadata: { ...metadata, annotations } }
}

/** Runs the next probe and has it find this owner. */
function probe(world: World, owner: object | null): ReturnType<World['condition']> {
  world.step()
  world.endJob(world.made.at(-1) ?? '', { code: 'ok', ...FIGURES, owner })
  world.step()
  return world.condition('DatabaseReachable')
}

const lastJob = (world: World) =>
  world.jobs.at(-1) as unknown as { spec: { template: { spec: { containers: { env: object[] }[] } } } }
const environment = (world: World) => lastJob(world).spec.template.spec.containers[0]?.env

test.each([
  ['its own', { cluster: 'east', namespace: 'search', name: 'crawl' }],
  ['one of its name that names no cluster yet', { namespace: 'search', name: 'crawl' }],
  ['nobody', null],
])('an instance uses an external database that belongs to %s', (_whom, owner) => {
  expect(probe(worldIn('east', EXTERNAL), owner)).toMatchObject({ status: 'True', reason: 'DatabaseReachable' })
})

test('the database of an instance of the same name in another cluster is refused, until its owner is named', () => {
  const world = worldIn('west', EXTERNAL)
  const owner = { cluster: 'east', namespace: 'search', name: 'crawl' }
  const refused = probe(world, owner)
  expect(refused).toMatchObject({ status: 'False', reason: 'DatabaseClaimed' })
  expect(refused?.message).toContain('belongs to the StorageInstance east/search/crawl. ')
  expect(refused?.message).toContain(`kubectl annotate si crawl ${ANNOTATIONS.takeOver}=east/search/crawl.`)
  world.pass(1)
  takeOver(world, 'search/crawl')
  expect(probe(world, owner)).toMatchObject({ status: 'False', reason: 'DatabaseClaimed' })
  world.pass(1)
  takeOver(world, 'east/search/crawl')
  expect(probe(world, owner)).toMatchObject({ status: 'True' })
  expect(environment(world)).toContainEqual({ name: 'CLUSTER', value: 'west' })
  expect(environment(world)).toContainEqual({ name: 'TAKE_OVER', value: 'east/search/crawl' })
})

test('a migration that finds another owner says how to take the database over, and is run again once that is said', () => {
  const world = worldIn('west')
  world.external = undefined
  world.settle(() => {
    world.flourish()
  })
  world.change({ image: { tag: '2' } })
  world.step()
  const error = 'The database belongs to the StorageInstance east/search/crawl, not to west/search/crawl'
  world.endJob(world.made.at(-1) ?? '', { code: 'claimed', error })
  world.step()
  const refused = world.condition('SchemaUpToDate')
  expect(refused).toMatchObject({ status: 'False', reason: 'DatabaseClaimed' })
  expect(refused?.message).toContain(ANNOTATIONS.takeOver)
  const { length } = world.made
  world.pass(1)
  takeOver(world, 'east/search/crawl')
  world.step()
  expect(world.made).toHaveLength(length + 1)
  expect(environment(world)).toContainEqual({ name: 'TAKE_OVER', value: 'east/search/crawl' })
})
