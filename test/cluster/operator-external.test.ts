import { beforeAll, describe, expect, test } from 'vitest'
import { CHILD_ANNOTATIONS } from '../../operator/desired/annotations.ts'
import { useNamespace } from './kit/namespace.ts'
import { ensureOperator, Instance } from './kit/operator.ts'
import { startPostgres } from './kit/postgres.ts'

const space = useNamespace('external')
const external = (name: string) => ({ api: { replicas: 1 }, database: { external: { secretRef: { name } } } })
let crawl: Instance

beforeAll(async () => {
  await Promise.all([ensureOperator(), startPostgres(space)])
  crawl = await Instance.create(space, external('postgres'))
})

async function secretVersion(): Promise<string> {
  const path = `{.spec.template.metadata.annotations.${CHILD_ANNOTATIONS.databaseSecret.replaceAll('.', '\\.')}}`
  return space.kubectl('get', 'deployment', 'crawl-api', '-o', `jsonpath=${path}`)
}

async function setPassword(password: string, query = ''): Promise<void> {
  const uri = `postgres://postgres:${password}@postgres.${space.name}.svc:5432/postgres${query}`
  await space.kubectl('patch', 'secret', 'postgres', '--type=merge', '-p', JSON.stringify({ stringData: { uri } }))
}

describe('an external database', () => {
  test('is probed, migrated and used; what it can do is in status', async () => {
    await crawl.ready()
    expect((await crawl.get()).status?.database).toMatchObject({
      kind: 'External',
      roles: 'Single',
      version: expect.stringMatching(/^17\./),
      capabilities: expect.arrayContaining(['createRoles', 'replication']),
      maxConnections: expect.any(Number),
    })
    expect(await space.list('statefulsets', 'storage.sonoma.dev/instance=crawl')).toEqual([])
  })

  test('belongs to one instance: a second one is blocked, with the name of the owner', async () => {
    const other = await Instance.create(space, external('postgres'), 'other')
    const condition = await other.until('DatabaseReachable', { status: 'False', reason: 'DatabaseClaimed' })
    expect(condition.message).toContain(`${space.name}/crawl`)
    expect(await other.condition('Stalled')).toMatchObject({ status: 'True', reason: 'DatabaseClaimed' })
    expect(await space.list('deployments', 'storage.sonoma.dev/instance=other')).toEqual([])
    await space.kubectl('delete', other.target)
  })

  test('whose Secret is wrong leaves the pods serving and says what to correct; the right one rolls them', async () => {
    const [before, password] = [
      await secretVersion(),
      Buffer.from(await space.kubectl('get', 'secret', 'postgres', '-o', 'jsonpath={.data.password}'), 'base64'),
    ]
    await setPassword('wrong')
    await space.kubectl('annotate', crawl.target, 'test/look=1')
    const condition = await crawl.until('DatabaseReachable', { status: 'False', reason: 'CredentialsRejected' })
    expect(condition.message).toContain('Correct the Secret')
    expect(condition.message).not.toContain('wrong@')
    expect(await crawl.condition('ApiAvailable')).toMatchObject({ status: 'True' })
    expect(await secretVersion()).toBe(before)
    // Of the former content the pods would be right as they are.
    await setPassword(password.toString(), '?application_name=corrected')
    await crawl.ready()
    expect(await secretVersion()).not.toBe(before)
  })

  test('whose Secret is missing, or has another key, says which', async () => {
    const early = await Instance.create(space, external('nowhere'), 'early')
    const missing = await early.until('DatabaseReachable', { status: 'False', reason: 'SecretMissing' })
    expect(missing.message).toContain('There is no Secret nowhere')
    await early.apply({ database: { external: { secretRef: { name: 'postgres', key: 'url' } } } })
    const key = await early.until('DatabaseReachable', { status: 'False', reason: 'SecretMissing' })
    expect(key.message).toContain('has no key url')
    await space.kubectl('delete', early.target)
  })

  test('that takes too few connections is a condition with the sum', async () => {
    await crawl.apply({ ...external('postgres'), api: { replicas: 10, poolSize: 50 } })
    const condition = await crawl.until('DatabaseReachable', { status: 'False', reason: 'ConnectionsExceeded' })
    expect(condition.message).toContain('570 connections')
    await crawl.apply(external('postgres'))
    await crawl.ready()
  })
})
