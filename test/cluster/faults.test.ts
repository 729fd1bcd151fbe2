import { beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { ApiProxy } from './kit/api-proxy.ts'
import { bundleOf } from './kit/bundle.ts'
import { Client } from './kit/client.ts'
import { cutNetwork, fillVolume, freezePod, freezeProgram, killPod, killProgram } from './kit/faults.ts'
import { useNamespace } from './kit/namespace.ts'
import { startPostgres } from './kit/postgres.ts'
import { kubectl, tryKubectl } from './kubectl.ts'

const TIMEOUT_MS = 60_000

const space = useNamespace('faults')
let client: Client
let program: string

beforeAll(async () => {
  program = await bundleOf('postgres-reply-program.ts')
  const started = await Promise.all([
    Client.start(space),
    startPostgres(space, { storageClass: 'loop', size: '128Mi' }),
  ])
  client = started[0]
})

async function restarts(pod: string): Promise<number> {
  return Number(await space.kubectl('get', 'pod', pod, '-o', 'jsonpath={.status.containerStatuses[0].restartCount}'))
}

/**
 * What a client of PostgreSQL hears within two seconds: `answered`; `silent` after it was connected, which the kernel does
 * for a process that hangs; `unreachable`; or an error. Asked for by the pod's own address: a Service leaves out who is not ready.
 */
async function reply(): Promise<string> {
  const address = await space.kubectl('get', 'pod', 'postgres-0', '-o', 'jsonpath={.status.podIP}')
  return client.run(program, address)
}

const answers = async () => (await reply()) === 'answered'

describe('one-line faults', () => {
  test('a pod is killed: its container is started again', async () => {
    const before = await restarts('postgres-0')
    await killPod(space, 'postgres-0')
    await eventually(async () => (await restarts('postgres-0')) > before, { timeoutMs: TIMEOUT_MS })
    await space.rollout('statefulset/postgres')
  })

  test('a pod is frozen: whoever connects hears nothing, until it is thawed', async () => {
    await eventually(answers, { timeoutMs: TIMEOUT_MS })
    const before = await restarts('postgres-0')
    const thaw = await freezePod(space, 'postgres-0')
    expect(await Promise.all([reply(), reply(), reply()])).toEqual(['silent', 'silent', 'silent'])
    await thaw()
    expect(await reply()).toBe('answered')
    expect(await restarts('postgres-0')).toBe(before)
  })

  test('the network of a pod is cut: nobody gets there, until it is healed; inside it goes on', async () => {
    await eventually(answers, { timeoutMs: TIMEOUT_MS })
    const before = await restarts('postgres-0')
    const heal = await cutNetwork(space, 'postgres-0')
    expect(await Promise.all([reply(), reply(), reply()])).toEqual(['unreachable', 'unreachable', 'unreachable'])
    expect(await space.exec('postgres-0', ['psql', '-XAt', '-U', 'postgres', '-c', 'SELECT 1'])).toBe('1')
    await heal()
    expect(await reply()).toBe('answered')
    expect(await restarts('postgres-0')).toBe(before)
  })

  test('a volume is filled: nothing more fits, until it is freed', async () => {
    const data = '/var/lib/postgresql/data'
    const free = async () =>
      Number((await space.exec('postgres-0', ['df', '--output=avail', '-k', data])).split('\n').at(-1))
    expect(await free()).toBeGreaterThan(1_000)
    const heal = await fillVolume(space, 'postgres-0', data)
    expect(await free()).toBeLessThan(16)
    await heal()
    expect(await free()).toBeGreaterThan(1_000)
  })

  test('the kubelet is killed: it comes back, its pods stay', async () => {
    const before = await restarts('postgres-0')
    await killProgram('kubelet')
    await eventually(async () => (await space.exec('postgres-0', ['true'])) === '', { timeoutMs: TIMEOUT_MS })
    expect(await restarts('postgres-0')).toBe(before)
  })

  test('the API server and etcd are killed: both come back with everything', async () => {
    await killProgram('etcd')
    await killProgram('kube-apiserver')
    const ready = async () => (await tryKubectl(['get', '--raw', '/readyz', '--request-timeout=2s'])).code === 0
    await eventually(ready, { timeoutMs: TIMEOUT_MS })
    expect(await kubectl(['get', 'statefulset/postgres', '-n', space.name, '-o', 'name'])).toContain('postgres')
  })

  test('the API server answers errors to those who are sent to it through a proxy', async () => {
    const proxy = await ApiProxy.start(space)
    const version = () => client.fetch(`http://api-proxy.${space.name}.svc:8080/version`, { token: false })
    // Without a credential the API server itself says so.
    await eventually(async () => expect((await version()).status).toBe(401), { timeoutMs: TIMEOUT_MS })
    await proxy.inject({ status: 429, share: 1, path: '/version', retryAfterSeconds: 3 })
    expect(await version()).toMatchObject({ status: 429, headers: { 'retry-after': '3' } })
    expect(await proxy.injected()).toBe(1)
    await proxy.inject()
    expect((await version()).status).toBe(401)
  })

  test('the API server is frozen, and thawed', async () => {
    const ready = async () => (await tryKubectl(['get', '--raw', '/readyz', '--request-timeout=2s'])).code === 0
    const thaw = await freezeProgram('kube-apiserver')
    expect(await ready()).toBe(false)
    await thaw()
    await eventually(ready, { timeoutMs: TIMEOUT_MS })
  })
})
