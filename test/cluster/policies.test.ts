import { beforeAll, expect, test } from 'vitest'
import { HTTP_PORT as PORT } from '../../app/contract.ts'
import { Client } from './kit/client.ts'
import { useNamespace } from './kit/namespace.ts'
import { useParts } from './kit/optional-part.ts'
import { checkFlows, type Flow } from './kit/policies.ts'

useParts('cyclonus')
const [servers, others] = [useNamespace('servers'), useNamespace('others')]

beforeAll(async () => {
  await Promise.all([
    Client.start(servers, 'server'),
    Client.start(servers, 'friend'),
    Client.start(others, 'stranger'),
  ])
  await servers.apply({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: 'friends' },
    spec: {
      podSelector: { matchLabels: { app: 'server' } },
      ingress: [{ from: [{ podSelector: { matchLabels: { app: 'friend' } } }], ports: [{ port: PORT }] }],
    },
  })
})

test('policies of real objects are judged: what they allow, and what they forbid', async () => {
  const server = { namespace: servers.name, pod: await servers.pod('app=server') }
  const friend = { namespace: servers.name, pod: await servers.pod('app=friend') }
  const stranger = { namespace: others.name, pod: await others.pod('app=stranger') }
  const flows: Flow[] = [
    { from: friend, to: server, port: PORT },
    { from: friend, to: server, port: PORT + 1 },
    { from: stranger, to: server, port: PORT },
    { from: server, to: stranger, port: PORT },
  ]
  const verdicts = await checkFlows(flows)
  expect(verdicts.map(({ judged }) => judged)).toEqual([true, false, false, true])
  expect(verdicts.filter(({ judged, tried }) => tried !== undefined && tried !== judged)).toEqual([])
})
