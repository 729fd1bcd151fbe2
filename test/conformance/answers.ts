/** What the interface answers, and the checks that several chapters make of it. */
import { expect } from 'vitest'
import type { Answer, TestService } from '../support/service.ts'

export type Problem = {
  type: string
  title: string
  status: number
  detail: string
  code: string
  requestId: string
  errors?: { pointer: string; code: string; detail: string }[]
}

export type ItemError = {
  id: string | null
  error: string
  index: number
  code: string
  retryable: boolean
  storedId?: string
}

export type EnqueueError = { enqueue: number; index: number; id: string | null; code: string; error: string }

export type Summary = { inserted: number; updated: number; unchanged: number; stale: number; duplicate: number }

export type Written = {
  stored: number
  failed: number
  errors: ItemError[]
  summary: Summary
  enqueued: { created: number; duplicate: number; stored: number; invalid: number; errors: EnqueueError[] }
}

export type Metadata = {
  crawledAt?: string
  lastModified?: string
  contentType?: string
  size?: number
  [key: string]: unknown
}

export type StoredDocument = {
  id: string
  url: string
  host: string
  status?: string | null
  metadata: Metadata
  createdAt: string
  updatedAt: string
}

export type Item = {
  id: string
  payload: Record<string, unknown>
  priority: number
  attempt: number
  receipt: string
  leaseUntil: string
  availableAt: string
  result: string
  code?: string
  error?: string
}

export type QueueAnswer = { success: boolean; items: Item[] }

export const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
export const MICROSECOND_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(Z|[+-]\d\d:\d\d)$/

/** Checks that an answer is a whole RFC 9457 problem of this status, and answers it. */
export function expectProblem(answer: Answer, status: number, code?: string): Problem {
  const problem = answer.body as Problem
  expect({ status: answer.status, code: problem.code }).toEqual({ status, code: code ?? problem.code })
  expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json\b/)
  expect(problem).toMatchObject({
    type: expect.any(String),
    title: expect.stringMatching(/./),
    status,
    detail: expect.stringMatching(/./),
    code: expect.stringMatching(/^[a-z][a-z0-9_]*$/),
    requestId: answer.headers.get('x-request-id'),
  })
  for (const entry of problem.errors ?? []) {
    expect(entry).toMatchObject({
      pointer: expect.stringMatching(/^(\/|$)/),
      code: expect.stringMatching(/^[a-z][a-z0-9_]*$/),
      detail: expect.stringMatching(/./),
    })
  }
  return problem
}

/** Sends text as a JSON body. */
export function sendText<B = unknown>(service: TestService, path: string, text: string | Uint8Array) {
  return service.call<B>('POST', path, text, { 'content-type': 'application/json' })
}

/** Stores documents and answers what was said of them. */
export async function write(service: TestService, ...documents: unknown[]): Promise<Written> {
  const answer = await service.call<Written>('POST', '/api/documents', { documents })
  expect(answer.status, JSON.stringify(answer.body)).toBe(200)
  expect(answer.body.stored + answer.body.failed).toBe(documents.length)
  return answer.body
}

/** The document of a url, which must be there. */
export async function documentOf(service: TestService, url: string): Promise<StoredDocument> {
  const { body } = await service.call<{ documents: StoredDocument[] }>('POST', '/api/documents/lookup', { urls: [url] })
  const [document] = body.documents
  if (!document) throw new Error(`${url} is not stored.`)
  return document
}

/** Sends one queue operation that must succeed and answers its items. */
export async function queueItems(service: TestService, body: object): Promise<Item[]> {
  const answer = await service.call<QueueAnswer>('POST', '/api/queue', body)
  expect(answer.status, JSON.stringify(answer.body)).toBe(200)
  return answer.body.items
}
