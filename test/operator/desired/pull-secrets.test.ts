import { expect, test } from 'vitest'
import { instanceOf, World } from '../plan/world.ts'

type PodOwner = { kind: string; spec?: { template?: { spec?: { imagePullSecrets?: object[] } } } }

const pullSecrets = [{ name: 'registry' }, { name: 'mirror' }]

/** What each object that makes pods has for pulling images. */
function byKind({ children, jobs }: World): Record<string, object[] | undefined> {
  const makers = [...children, ...jobs].filter((object) => (object as PodOwner).spec?.template?.spec) as (PodOwner & {
    metadata: { labels?: Record<string, string> }
  })[]
  const nameOf = ({ kind, metadata }: (typeof makers)[number]) =>
    kind === 'Job' ? `Job ${metadata.labels?.['app.kubernetes.io/component']}` : kind
  return Object.fromEntries(makers.map((maker) => [nameOf(maker), maker.spec?.template?.spec?.imagePullSecrets]))
}

test('every pod of an instance has the Secrets for pulling images, whatever it is for', () => {
  const managed = new World(instanceOf({ image: { pullSecrets } }))
  managed.settle()
  managed.change({ database: { managed: { parameters: { work_mem: '9MB' } } } })
  managed.settle()
  expect(byKind(managed)).toEqual({
    Deployment: pullSecrets,
    StatefulSet: pullSecrets,
    'Job provision': pullSecrets,
    'Job migrate': pullSecrets,
    'Job settings': pullSecrets,
  })
  const external = new World(
    instanceOf({ image: { pullSecrets }, database: { external: { secretRef: { name: 'db' } } } }),
  )
  const secret = { state: 'usable', version: '1' } as const
  external.external = { service: secret, owner: secret }
  external.settle()
  expect(byKind(external)).toEqual({ Deployment: pullSecrets, 'Job migrate': pullSecrets, 'Job probe': pullSecrets })
})

test('without any there is nothing to say, so that nothing is restarted for it', () => {
  const world = new World()
  world.settle()
  expect(Object.values(byKind(world))).toEqual([undefined, undefined, undefined, undefined])
})
