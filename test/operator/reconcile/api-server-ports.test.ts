import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { KubeClient } from '../../../operator/kube/client.ts'
import { ApiServerPorts } from '../../../operator/reconcile/api-server-ports.ts'
import { answer, FaultServer, refuse } from '../kube/fault-server.ts'

const server = new FaultServer()
const { signal } = new AbortController()
const START = new Date('2026-11-23T02:15:00Z')
const later = (minutes: number) => new Date(START.getTime() + minutes * 60_000)

beforeAll(() => server.start())
afterAll(() => server.stop())
beforeEach(() => {
  server.requests.length = 0
})

const client = () => new KubeClient(server.transport({ attempts: 1 }))

/** The cluster's own endpoints have these ports. */
function serve(...ports: number[]): void {
  const slice = { kind: 'EndpointSlice', metadata: { name: 'kubernetes' }, ports: ports.map((port) => ({ port })) }
  server.handler = (_request, response) => answer(response, 200, slice)
}

describe('the ports of the API server', () => {
  test('are those of its own endpoints, beside the one of its Service', async () => {
    serve(16443)
    expect(await new ApiServerPorts().read(client(), START, signal)).toEqual([443, 16443])
    const path = '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes'
    expect(server.requests.map(({ url }) => url)).toEqual([path])
  })

  test('are asked for once in ten minutes, and followed when they change', async () => {
    const ports = new ApiServerPorts()
    serve(6443)
    for (const minutes of [0, 5, 9]) expect(await ports.read(client(), later(minutes), signal)).toEqual([443, 6443])
    expect(server.requests).toHaveLength(1)
    serve(8443)
    expect(await ports.read(client(), later(10), signal)).toEqual([443, 8443])
  })

  test.each([
    [403, 'Forbidden'],
    [404, 'NotFound'],
  ])('are unknown where the API server says %i, and that is not asked all the time', async (code, reason) => {
    const ports = new ApiServerPorts()
    server.handler = (_request, response) => refuse(response, code, reason)
    for (const minutes of [0, 5]) expect(await ports.read(client(), later(minutes), signal)).toBeUndefined()
    expect(server.requests).toHaveLength(1)
  })

  test('stay what they were while the API server fails, and are not guessed before', async () => {
    const ports = new ApiServerPorts()
    const fail = () => {
      server.handler = (_request, response) => refuse(response, 500, 'InternalError')
    }
    fail()
    await expect(ports.read(client(), START, signal)).rejects.toMatchObject({ code: 500 })
    serve(16443)
    await ports.read(client(), START, signal)
    fail()
    expect(await ports.read(client(), later(11), signal)).toEqual([443, 16443])
  })
})
