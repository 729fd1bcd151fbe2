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

test('a wrong Secret is looked at within seconds, a usable one seldom, also while its database is being probed', () => {
  const wrong = worldWith(MISSING)
  wrong.step()
  expect(lookMs(wrong)).toBe(5_000)
  const probed = worldWith(OK)
  probed.step()
  probed.step()
  expect(probed.instance.status?.runs?.probe?.phase).not.toBe('Succeeded')
  expect(lookMs(probed)).toBe(30_000)
  probed.endJob(probed.made[0] ?? '', { code: 'failed', error: 'password authentication failed' })
  probed.step()
  expect(lookMs(probed)).toBe(5_000)
})
