/** Valid requests of every route, which the mutations start from. */

/** What is there before the first request. */
export type Known = { documentId: string; storedUrl: string; receipt: string; queue: string }

export type Template = {
  method: string
  /** As in the OpenAPI document. */
  route: string
  path: string
  query?: Record<string, string>
  headers?: Record<string, string>
  json?: unknown
  text?: string
}

const TIME = '2026-01-02T03:04:05.678901Z'
const NDJSON = { 'content-type': 'application/x-ndjson' }
const HISTORY = { updatedAfter: '2020-01-01T00:00:00Z', updatedBefore: '2100-01-01T00:00:00Z' }

export function validRequests(known: Known): Template[] {
  return [...documentRequests(known), ...queueRequests(known), ...controlRequests(known), ...serviceRequests()]
}

function documentRequests({ documentId, storedUrl, queue }: Known): Template[] {
  const metadata = { crawledAt: TIME, lastModified: TIME, contentType: 'text/html', size: 10, deep: { a: [1, 'x'] } }
  const document = { id: documentId, url: storedUrl, status: 'fetched', metadata }
  const items = [{ id: 'a', priority: 1, payload: { url: 'https://b.example/' } }]
  const body = { documents: [document, { url: 'https://c.example/x?y=1' }] }
  const route = '/api/documents/{id}'
  const path = `/api/documents/${documentId}`
  const line = JSON.stringify(document)
  return [
    post('/api/documents', { ...body, enqueue: [{ queue, unlessStored: true, items }] }),
    { ...post('/api/documents', body), headers: { prefer: 'handling=strict' } },
    get('/api/documents', { ...HISTORY, status: 'fetched', host: 'a.example', contentType: 'text/html', limit: '10' }),
    get('/api/documents', { fields: 'id,url,metadata', limit: '1' }),
    post('/api/documents/lookup', { ids: [documentId] }),
    post('/api/documents/lookup', { urls: [storedUrl, 'https://none.example/'] }),
    post('/api/documents/delete', { ids: ['018f0000-0000-7000-8000-000000000001'] }),
    {
      method: 'POST',
      route: '/api/documents/import',
      path: '/api/documents/import',
      headers: NDJSON,
      text: `${line}\n${line}\n`,
    },
    get('/api/documents/export', { after: documentId, crawledBefore: '2100-01-01T00:00:00Z', host: 'a.example' }),
    get('/api/documents/changes', {
      after: 'now',
      limit: '10',
      waitSeconds: '0',
      status: 'fetched',
      host: 'a.example',
    }),
    { method: 'GET', route, path, headers: { 'if-none-match': '"x"' } },
    {
      method: 'PATCH',
      route,
      path,
      headers: { 'if-match': '*' },
      json: { status: 'seen', metadata: { a: null, b: 1 } },
    },
    { method: 'DELETE', route, path: '/api/documents/018f0000-0000-7000-8000-000000000002' },
  ]
}

function queueRequests({ queue, receipt }: Known): Template[] {
  const item = { id: 'i', priority: 5, payload: { url: 'https://d.example/', more: [1] }, delaySeconds: 1, group: 'g' }
  const path = '/api/queue'
  return [
    post(path, { operation: 'push', queue, items: [item, { availableAt: TIME }] }),
    post(path, { operation: 'pop', queue, count: 2, leaseSeconds: 5, waitSeconds: 0, polite: { perHost: 1 } }),
    post(path, { operation: 'pop', queue, items: [] }),
    post(path, { operation: 'peek', queue, count: 3 }),
    post(path, { operation: 'ack', queue, items: [{ receipt }] }),
    post(path, { operation: 'nack', queue, items: [{ receipt, delaySeconds: 1.5, reason: 'again' }] }),
    post(path, { operation: 'extend', queue, items: [{ receipt, leaseSeconds: 60 }] }),
  ]
}

function controlRequests({ queue }: Known): Template[] {
  const route = '/api/queues/{queue}'
  const path = `/api/queues/${queue}`
  const host = { route: `${route}/hosts/{host}`, path: `${path}/hosts/d.example` }
  const options = { retryLimit: 3, retryDelaySeconds: 1, retryBackoff: true, deadLetter: null, maxAgeSeconds: 60 }
  const politeness = { delaySeconds: 0.5, maxActive: 2 }
  return [
    get('/api/queues'),
    { method: 'GET', route, path },
    { method: 'PUT', route, path, json: { ...options, keepDoneSeconds: 5, politeness } },
    { method: 'DELETE', route, path: '/api/queues/nothing', query: { force: 'true' } },
    { method: 'POST', route: `${route}/pause`, path: `${path}-2/pause` },
    { method: 'POST', route: `${route}/resume`, path: `${path}/resume` },
    { method: 'GET', route: `${route}/items`, path: `${path}/items`, query: { state: 'waiting', limit: '5' } },
    { method: 'DELETE', route: `${route}/items`, path: `${path}-2/items`, query: { state: 'failed' } },
    { method: 'POST', route: `${route}/redrive`, path: `${path}/redrive`, json: { limit: 5 } },
    { method: 'PUT', ...host, json: { ...politeness, blockedUntil: TIME } },
    { method: 'GET', ...host },
    { method: 'DELETE', ...host },
  ]
}

function serviceRequests(): Template[] {
  return [get('/health'), get('/livez'), get('/readyz'), get('/openapi.json'), get('/docs')]
}

function get(path: string, query?: Record<string, string>): Template {
  return { method: 'GET', route: path, path, ...(query && { query }) }
}

function post(path: string, json: unknown): Template {
  return { method: 'POST', route: path, path, json }
}
