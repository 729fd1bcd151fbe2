import { ITEM_ERRORS, PROBLEMS } from '../../app/errors.ts'
import type { RawAnswer } from './raw-http.ts'

const PROBLEM_TYPE = 'application/problem+json'

type Body = { code?: string; status?: number; title?: string; detail?: string; requestId?: string; type?: string }

/** What is wrong with an answer to a client that may send anything; undefined when nothing is. */
export function judge(answer: RawAnswer | undefined, method: string): string | undefined {
  if (!answer) return 'no answer'
  if (answer.status < 400) return judgeItems(answer.body)
  if (method === 'HEAD') return answer.status === 500 ? 'status 500' : undefined
  if (!answer.headers['content-type']?.startsWith(PROBLEM_TYPE))
    return `status ${answer.status} without a problem document`
  return judgeProblem(JSON.parse(answer.body) as Body, answer)
}

function judgeProblem(body: Body, { status, headers }: RawAnswer): string | undefined {
  const known = PROBLEMS[body.code as keyof typeof PROBLEMS]
  if (!known) return `the code ${body.code} is in no table`
  if (known.status !== status || body.status !== status) return `the code ${body.code} with status ${status}`
  // The database is well and nobody else is here, so neither is the service's own trouble.
  if (status === 500 || (status === 503 && body.code !== 'overloaded')) return `${status} ${body.code}: ${body.detail}`
  if (!body.title || !body.detail || !body.type) return 'a problem document that says too little'
  return body.requestId && headers['x-request-id'] === body.requestId
    ? undefined
    : 'a request id that is not the same twice'
}

type Items = { errors?: ItemFault[]; items?: ItemFault[]; code?: string; error?: unknown }
type ItemFault = { code?: string; error?: string }

/** An item's fault is the client's as well, and never the database's. Answers may be one JSON text, or one a line. */
function judgeItems(body: string): string | undefined {
  const parsed = body.split('\n').flatMap((line) => (line.startsWith('{') ? parse(line) : []))
  const faults = parsed.flatMap((answer) => [...(answer.errors ?? []), ...(answer.items ?? []), answer as ItemFault])
  const codes = faults.filter(({ error }) => typeof error === 'string').map(({ code }) => code ?? 'without a code')
  const wrong = codes.find((code) => !isOfClient(code))
  return wrong === undefined ? undefined : `an item has the error ${wrong}`
}

/** An import that breaks off says why with the code of a problem. */
function isOfClient(code: string): boolean {
  const item = ITEM_ERRORS[code as keyof typeof ITEM_ERRORS]
  const problem = PROBLEMS[code as keyof typeof PROBLEMS]
  return item ? !item.retryable : problem?.status < 500
}

function parse(line: string): Items[] {
  try {
    return [JSON.parse(line) as Items]
  } catch {
    return []
  }
}
