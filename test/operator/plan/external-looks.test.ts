import { expect, test } from 'vitest'
import { plan } from '../../../operator/plan/plan.ts'
import { instanceOf, World } from './world.ts'

const database = { external: { secretRef: { name: 'crawl-app', key: 'uri' } } }
const OK = { state: 'usable', version: 'v-1' } as const
const MISSING = { state: 'missing' } as const

function worldWith(secret: typeof OK | typeof MISSING): World {
  const world = new World(instanceOf({ database }))
  world.external = { service: secret, owner: secret }
  return world
}

const lookMs = (world: World) => plan(world.observed()).steps.database?.requeueAfterMs

test('nobody looks for a Secret, wrong or usable: what changes it is seen by a watch', () => {
  const wrong = worldWith(MISSING)
  wrong.step()
  expect(wrong.condition('DatabaseReachable')).toMatchObject({ status: 'False', reason: 'SecretMissing' })
  expect(lookMs(wrong)).toBeUndefined()
  const usable = worldWith(OK)
  usable.settle()
  expect(usable.condition('DatabaseReachable')).toMatchObject({ status: 'True' })
  expect(lookMs(usable)).toBeUndefined()
})

test('a probe that failed is tried again by itself, and at once where the Secret is another one', () => {
  const world = worldWith(OK)
  world.step()
  world.endJob(world.made[0] ?? '', { code: 'failed', error: 'password authentication failed' })
  world.step()
  expect(lookMs(world)).toBeGreaterThan(60_000)
  world.external = { service: { ...OK, version: 'v-2' }, owner: { ...OK, version: 'v-2' } }
  world.pass(1)
  world.step()
  expect(world.made).toHaveLength(2)
})
