import Type, { type Static } from 'typebox'
import { PROBLEMS, type Problem } from '../errors.ts'

/** Media type of every error (RFC 9457). */
export const PROBLEM_MEDIA_TYPE = 'application/problem+json; charset=utf-8'

/** Prefix of `type`: an identifier of the kind of problem, not an address to open. */
export const PROBLEM_TYPE_BASE = 'https://storage.sonoma.dev/problems/'

/** The document that every error is answered with. */
export const ProblemDocument = Type.Object(
  {
    type: Type.String({ description: 'Identifies the kind of problem; not an address to open.' }),
    title: Type.String(),
    status: Type.Integer({ minimum: 400, maximum: 599 }),
    detail: Type.String({ description: 'What went wrong this time, for people.' }),
    code: Type.Enum(Object.keys(PROBLEMS), { description: 'What went wrong, for programs.' }),
    requestId: Type.String(),
    errors: Type.Array(
      Type.Object({
        pointer: Type.String({ description: 'RFC 6901 pointer into the request body; empty for the whole of it.' }),
        code: Type.String(),
        detail: Type.String(),
      }),
    ),
  },
  { $id: 'Problem', title: 'Problem' },
)
export type ProblemDocument = Static<typeof ProblemDocument>

/** Renders a problem as its document. */
export function problemDocument(problem: Problem, requestId: string): ProblemDocument {
  const { status, title } = PROBLEMS[problem.code]
  const errors = problem.options.errors ?? []
  return {
    type: `${PROBLEM_TYPE_BASE}${problem.code}`,
    title,
    status,
    detail: problem.message,
    code: problem.code,
    requestId,
    errors,
  }
}

/** The headers that a problem needs beside its document. Every 429 and 503 says when to come back (default: one second). */
export function problemHeaders(problem: Problem): Record<string, string> {
  const { headers, retryAfterSeconds } = problem.options
  const mustRetry = problem.status === 429 || problem.status === 503
  if (!mustRetry && retryAfterSeconds === undefined) return { ...headers }
  return { 'retry-after': String(Math.max(1, Math.ceil(retryAfterSeconds ?? 1))), ...headers }
}
