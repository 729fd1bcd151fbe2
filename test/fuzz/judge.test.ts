import { expect, test } from 'vitest'
import { judge } from './judge.ts'
import type { RawAnswer } from './raw-http.ts'

const PROBLEM = {
  type: 'https://storage.sonoma.dev/problems/not_found',
  title: 'There is nothing here',
  status: 404,
  detail: 'No such document.',
  code: 'not_found',
  requestId: 'r',
  errors: [],
}

function answer(status: number, body: unknown, type = 'application/problem+json; charset=utf-8'): RawAnswer {
  const headers = { 'content-type': type, 'x-request-id': 'r' }
  return { status, headers, body: typeof body === 'string' ? body : JSON.stringify(body), isComplete: true }
}

test.each([
  ['a problem', answer(404, PROBLEM)],
  ['too much to do', answer(503, { ...PROBLEM, status: 503, code: 'overloaded' })],
  ['an answer with a bad item', answer(200, { errors: [{ error: 'no', code: 'invalid_url' }] })],
  ['an import that broke off', answer(200, { stored: 1, error: 'no', code: 'malformed_body' })],
  ['lines', answer(200, '{"line":1,"error":"no","code":"malformed_json"}\n{"stored":1}\n')],
])('good: %s', (_name, good) => {
  expect(judge(good, 'GET')).toBeUndefined()
})

test.each([
  ['nothing', undefined],
  ['500', answer(500, { ...PROBLEM, status: 500, code: 'internal' })],
  ['an excuse', answer(503, { ...PROBLEM, status: 503, code: 'query_timeout' })],
  ['an unknown code', answer(404, { ...PROBLEM, code: 'other' })],
  ['another status', answer(400, PROBLEM)],
  ['no problem document', answer(404, {}, 'application/json')],
  ['no detail', answer(404, { ...PROBLEM, detail: '' })],
  ['another request id', answer(404, { ...PROBLEM, requestId: 'x' })],
  ["the database's fault in an item", answer(200, { errors: [{ error: 'no', code: 'unavailable' }] })],
  ['an item without a code', answer(200, { items: [{ error: 'no' }] })],
  ["the database's fault in an import", answer(200, { stored: 1, error: 'no', code: 'database_unavailable' })],
  ['the same in a line', answer(200, '{"line":1,"error":"no","code":"unavailable"}\n{"stored":1}\n')],
])('bad: %s', (_name, bad) => {
  expect(judge(bad, 'GET')).toEqual(expect.any(String))
})
