import { beforeAll, describe, expect, test } from 'vitest'
import { Client } from './kit/client.ts'
import { useNamespace } from './kit/namespace.ts'
import { onNode } from './kit/on-node.ts'
import { kubectl, tryKubectl } from './kubectl.ts'
import { API_PORT, ISSUER, NODE_NAME } from './node/settings.ts'
import { foreignKubeconfig } from './place.ts'

const space = useNamespace('strict')
let pod: string

beforeAll(async () => {
  await Client.start(space)
  pod = await space.pod('app=client')
})

describe('stricter than most clusters', () => {
  test("a pod that is not restricted is refused in a test's namespace", async () => {
    const spec = { containers: [{ name: 'root', image: 'root' }] }
    const applied = space.apply({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'root' }, spec })
    await expect(applied).rejects.toThrow(/violates PodSecurity "restricted/)
  })

  test('an account may do nothing that it was not given', async () => {
    const account = `system:serviceaccount:${space.name}:client`
    const asked = await tryKubectl(['auth', 'can-i', 'list', 'secrets', '-n', space.name, '--as', account])
    expect(asked).toMatchObject({ code: 1, stdout: expect.stringContaining('no') })
  })

  test('a container has no capabilities, a filter of system calls, and the limit of its memory', async () => {
    const status = await space.exec(pod, ['cat', '/proc/1/status'])
    expect(status).toMatch(/^CapEff:\s+0+$/m)
    expect(status).toMatch(/^NoNewPrivs:\s+1$/m)
    expect(status).toMatch(/^Seccomp:\s+2$/m)
    const files = ['/sys/fs/cgroup/memory.max', '/sys/fs/cgroup/memory/memory.limit_in_bytes']
    const limit = await space.exec(pod, ['sh', '-c', `cat ${files.join(' ')} 2>/dev/null; true`])
    expect(Number(limit)).toBe(256 * 1024 * 1024)
  })
})

describe.runIf(foreignKubeconfig() === undefined)('a cluster of our own', () => {
  test('tells who issues the tokens of its service accounts, and the keys', async () => {
    const discovery = JSON.parse(await kubectl(['get', '--raw', '/.well-known/openid-configuration']))
    expect(discovery).toMatchObject({ issuer: ISSUER })
    const { keys } = JSON.parse(await kubectl(['get', '--raw', '/openid/v1/jwks'])) as { keys: object[] }
    expect(keys).toMatchObject([{ use: 'sig', alg: 'RS256' }])
  })

  test('lets the node change only what is its own', async () => {
    const asNode = '/mnt/bin/kubectl --kubeconfig /mnt/config/kubeconfig/kubelet'
    expect(await onNode(NODE_NAME, `${asNode} get node ${NODE_NAME} -o name`)).toBe(`node/${NODE_NAME}`)
    const label = onNode(NODE_NAME, `${asNode} label node ${NODE_NAME} node-restriction.kubernetes.io/x=y`)
    await expect(label).rejects.toThrow(/is not allowed to modify labels/)
    await expect(onNode(NODE_NAME, `${asNode} get secrets -n kube-system`)).rejects.toThrow(/Forbidden|forbidden/)
  })

  test('answers nobody whom it does not know', async () => {
    const asNobody = `/mnt/bin/kubectl --kubeconfig /dev/null --token nobody --insecure-skip-tls-verify -s https://127.0.0.1:${API_PORT}`
    await expect(onNode(NODE_NAME, `${asNobody} get --raw /version </dev/null`)).rejects.toThrow(/Unauthorized/)
  })
})
