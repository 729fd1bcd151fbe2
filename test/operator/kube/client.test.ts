import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { ApiError } from '../../../operator/kube/api-error.ts'
import { KubeClient } from '../../../operator/kube/client.ts'
import { LeaseLostError } from '../../../operator/kube/lease.ts'
import { CONFIG_MAPS, pathOf, RESOURCES, resourceOf, SECRETS } from '../../../operator/kube/resources.ts'
import { answer, FaultServer, refuse } from './fault-server.ts'

const server = new FaultServer()
const MAP = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace: 'n', name: 'm' } }

beforeAll(() => server.start())
afterAll(() => server.stop())
beforeEach(() => {
  server.requests.length = 0
  server.handler = (_request, response) => answer(response, 200, MAP)
})

/** Answers errors first, and then well. */
function failFirst(times: number, code: number, headers: Record<string, string> = {}): void {
  server.handler = (_request, response) => {
    if (server.requests.length <= times) refuse(response, code, 'Broken', headers)
    else answer(response, 200, MAP)
  }
}

function client(beforeWrite?: () => void): KubeClient {
  return new KubeClient(server.transport(), beforeWrite)
}

describe('requests', () => {
  test('keep their connection and carry the credentials', async () => {
    const one = client()
    const before = server.connections
    for (let i = 0; i < 20; i += 1) await one.get(CONFIG_MAPS, 'n', 'm')
    // A second one where the first is not free yet in the moment that its answer has been read.
    expect(server.connections - before).toBeLessThanOrEqual(2)
    expect(server.requests[0]).toMatchObject({
      method: 'GET',
      url: '/api/v1/namespaces/n/configmaps/m',
      headers: { authorization: 'Bearer secret-token', accept: 'application/json' },
    })
  })

  test('are counted with their code, also where there was no answer', async () => {
    const seen: string[] = []
    const transport = server.transport({ attempts: 1 }, ({ code, method, host }) =>
      seen.push(`${method} ${code} ${host}`),
    )
    const one = new KubeClient(transport)
    await one.get(CONFIG_MAPS, 'n', 'm')
    server.handler = (_request, response) => refuse(response, 404, 'NotFound')
    expect(await one.get(CONFIG_MAPS, 'n', 'm')).toBeUndefined()
    server.handler = (request) => request.socket.resetAndDestroy()
    await expect(one.get(CONFIG_MAPS, 'n', 'm')).rejects.toMatchObject({ code: 0, reason: 'Unreachable' })
    const host = new URL(server.url).host
    expect(seen).toEqual([`GET 200 ${host}`, `GET 404 ${host}`, `GET <error> ${host}`])
  })

  test('that only read or may be repeated are tried again after 500 and a reset', async () => {
    failFirst(2, 500)
    expect(await client().get(CONFIG_MAPS, 'n', 'm')).toEqual(MAP)
    server.requests.length = 0
    server.handler = (request, response) => {
      if (server.requests.length === 1) request.socket.resetAndDestroy()
      else answer(response, 200, MAP)
    }
    expect(await client().apply(MAP)).toEqual(MAP)
    expect(server.requests.length).toBe(2)
  })

  test('that make an object are tried again only where nothing can have been made', async () => {
    failFirst(1, 500)
    await expect(client().create(MAP)).rejects.toMatchObject({
      code: 500,
      reason: 'Broken',
      message: 'refused: Broken',
    })
    expect(server.requests.length).toBe(1)
    server.requests.length = 0
    failFirst(1, 429, { 'retry-after': '0' })
    expect(await client().create(MAP)).toEqual(MAP)
  })

  test('that make an object whose name says that it is theirs are tried again: it is there once at most', async () => {
    failFirst(2, 500)
    expect(await client().create(MAP, { isRepeatable: true })).toEqual(MAP)
    expect(server.requests.length).toBe(3)
  })

  test('wait as long as they are asked to, and give up where that is for long', async () => {
    failFirst(1, 429, { 'retry-after': '1' })
    const startedAt = performance.now()
    await client().get(CONFIG_MAPS, 'n', 'm')
    expect(performance.now() - startedAt).toBeGreaterThan(990)
    server.requests.length = 0
    failFirst(1, 429, { 'retry-after': '60' })
    await expect(client().get(CONFIG_MAPS, 'n', 'm')).rejects.toMatchObject({ code: 429, retryAfterMs: 60_000 })
    expect(server.requests.length).toBe(1)
  })

  test.each([400, 401, 403, 409, 410, 422])('are not repeated after %i', async (code) => {
    failFirst(1, code)
    await expect(client().apply(MAP)).rejects.toMatchObject({ code })
    expect(server.requests.length).toBe(1)
  })

  test('end at their deadline, before or in the middle of an answer', async () => {
    const one = new KubeClient(server.transport({ timeoutMs: 100 }))
    server.handler = () => {}
    await expect(one.get(CONFIG_MAPS, 'n', 'm')).rejects.toMatchObject({ code: 0, reason: 'Timeout' })
    server.handler = (_request, response) => void response.writeHead(200).write('{"kind":')
    await expect(one.get(CONFIG_MAPS, 'n', 'm')).rejects.toMatchObject({ code: 0, reason: 'Timeout' })
  })

  test('end when their caller gives up', async () => {
    const abort = new AbortController()
    server.handler = () => abort.abort()
    const getting = client().get(CONFIG_MAPS, 'n', 'm', { signal: abort.signal })
    await expect(getting).rejects.toMatchObject({ reason: 'Aborted' })
    await expect(client().get(CONFIG_MAPS, 'n', 'm', { signal: abort.signal })).rejects.toMatchObject({
      reason: 'Aborted',
    })
  })

  test('that are answered by something else than an API server say so', async () => {
    server.handler = (_request, response) => void response.writeHead(200).end('<html>')
    await expect(client().get(CONFIG_MAPS, 'n', 'm')).rejects.toMatchObject({ reason: 'Garbled' })
    server.handler = (_request, response) => void response.writeHead(403).end('<html>')
    await expect(client().get(CONFIG_MAPS, 'n', 'm')).rejects.toMatchObject({ code: 403, reason: 'Http403' })
  })

  test('say nothing of what they carry when they fail', async () => {
    server.handler = (_request, response) => refuse(response, 422, 'Invalid')
    const secret = { ...MAP, kind: 'Secret', stringData: { password: 'hunter2' } }
    const error = await client()
      .create(secret)
      .catch((error: unknown) => error)
    expect(error).toBeInstanceOf(ApiError)
    expect(JSON.stringify([error, String(error)])).not.toMatch(/hunter2|secret-token/)
  })
})

describe('writes', () => {
  test('are asked for before each attempt, and not sent where that throws', async () => {
    let asked = 0
    failFirst(1, 500)
    const one = client(() => {
      asked += 1
      if (asked > 2) throw new LeaseLostError()
    })
    await one.apply(MAP)
    expect([asked, server.requests.length]).toEqual([2, 2])
    const writes = [
      () => one.apply(MAP),
      () => one.applyStatus(MAP),
      () => one.create(MAP),
      () => one.replace(MAP),
      () => one.patch({ resource: CONFIG_MAPS, namespace: 'n', name: 'm' }, {}),
      () => one.delete(CONFIG_MAPS, 'n', 'm'),
    ]
    for (const write of writes) await expect(write()).rejects.toBeInstanceOf(LeaseLostError)
    expect(server.requests.length).toBe(2)
    await one.get(CONFIG_MAPS, 'n', 'm')
    expect([asked, server.requests.length]).toEqual([8, 3])
  })

  test('go out in the form that the API server expects', async () => {
    const one = client()
    await one.apply({ ...MAP, data: { a: 'b' } } as typeof MAP, { dryRun: true })
    await one.applyStatus(MAP, { fieldManager: 'me', force: false })
    await one.patch({ resource: CONFIG_MAPS, namespace: 'n', name: 'm', subresource: 'scale' }, { spec: 1 })
    await one.delete(CONFIG_MAPS, 'n', 'm', { uid: 'u', propagation: 'Foreground' })
    const said = server.requests.map(({ method, url, headers, body }) => [method, url, headers['content-type'], body])
    const path = '/api/v1/namespaces/n/configmaps/m'
    expect(said).toEqual([
      [
        'PATCH',
        `${path}?fieldManager=sonoma-storage-operator&force=true&dryRun=All`,
        'application/apply-patch+yaml',
        JSON.stringify({ ...MAP, data: { a: 'b' } }),
      ],
      ['PATCH', `${path}/status?fieldManager=me&force=false`, 'application/apply-patch+yaml', JSON.stringify(MAP)],
      ['PATCH', `${path}/scale?fieldManager=sonoma-storage-operator`, 'application/merge-patch+json', '{"spec":1}'],
      ['DELETE', path, 'application/json', '{"propagationPolicy":"Foreground","preconditions":{"uid":"u"}}'],
    ])
  })

  test('a delete of what is not there is no error', async () => {
    server.handler = (_request, response) => refuse(response, 404, 'NotFound')
    expect(await client().delete(CONFIG_MAPS, 'n', 'm')).toBe(false)
  })
})

describe('lists', () => {
  test('give each object its kind, and ask for metadata alone where that is enough', async () => {
    server.handler = (_request, response) =>
      answer(response, 200, { metadata: { resourceVersion: '7', continue: 'x' }, items: [{ metadata: { name: 's' } }] })
    const page = await client().list(SECRETS, { namespace: 'n', limit: 3, labelSelector: 'a=b', metadataOnly: true })
    expect(page).toEqual({
      items: [{ apiVersion: 'v1', kind: 'Secret', metadata: { name: 's' } }],
      resourceVersion: '7',
      continue: 'x',
    })
    const [request] = server.requests
    expect(request?.url).toBe('/api/v1/namespaces/n/secrets?limit=3&labelSelector=a%3Db')
    expect(request?.headers.accept).toContain('as=PartialObjectMetadataList')
  })
})

describe('resources', () => {
  test('have paths', () => {
    const job = resourceOf({ apiVersion: 'batch/v1', kind: 'Job' })
    expect([pathOf(job), pathOf(job, 'n'), pathOf(job, 'n', 'j')]).toEqual([
      '/apis/batch/v1/jobs',
      '/apis/batch/v1/namespaces/n/jobs',
      '/apis/batch/v1/namespaces/n/jobs/j',
    ])
    expect(new Set(RESOURCES.map((resource) => pathOf(resource))).size).toBe(RESOURCES.length)
    expect(() => resourceOf({ apiVersion: 'v1', kind: 'Nothing' })).toThrow('No resource is known for v1 Nothing')
  })
})
