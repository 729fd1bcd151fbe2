import type { Server } from 'node:http'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { Problem, type ProblemCode } from '../errors.ts'
import type { App } from '../schemas/app.ts'
import { PROBLEM_MEDIA_TYPE, problemDocument, problemHeaders } from '../schemas/problem.ts'
import { errorCode } from '../store/database-errors.ts'
import { answerClientErrors } from './client-errors.ts'
import { PathIndex } from './path-index.ts'

/** Fastify's own errors, by their code. */
const FRAMEWORK_ERRORS: Record<string, [ProblemCode, string]> = {
  FST_ERR_BAD_URL: ['invalid_request', 'The path is not valid percent-encoding.'],
  FST_ERR_MAX_PARAM_LENGTH: ['not_found', 'A part of the path is too long to name anything.'],
  FST_ERR_CTP_BODY_TOO_LARGE: ['body_too_large', 'The body is larger than allowed.'],
  FST_ERR_CTP_EMPTY_TYPE: ['unsupported_media_type', 'The request has a body but no Content-Type.'],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: ['unsupported_media_type', 'The Content-Type of the body is not supported here.'],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: ['malformed_body', 'The body does not have the length that was announced.'],
}

/** The code of an error that carries nothing but a 4xx status, such as those of other plugins. */
const CODE_OF_STATUS: Record<number, ProblemCode> = {
  401: 'unauthorized',
  403: 'forbidden',
  404: 'not_found',
  405: 'method_not_allowed',
  406: 'not_acceptable',
  408: 'request_timeout',
  412: 'precondition_failed',
  413: 'body_too_large',
  415: 'unsupported_media_type',
  429: 'too_many_requests',
}

// SQLSTATEs of a table, column, function or schema that is not there: the migrations of this release have not run.
const NO_SCHEMA = new Set(['42P01', '42703', '42883', '3F000'])
const NO_SCHEMA_DETAIL = 'The database does not have the schema that this release needs; the migrations have to run.'

/** Answers every error as a problem document: thrown ones, Fastify's own, unknown paths and methods, and broken HTTP. */
export function answerProblems(app: App): void {
  const paths = new PathIndex()
  app.addHook('onRoute', (route) => paths.add(route.method, route.url))
  app.setErrorHandler((error, request, reply) => answerError(error, request, reply))
  app.setNotFoundHandler((request) => {
    throw missing(request, paths.methodsOf(request.url))
  })
  answerClientErrors(app.server as Server)
}

/** Turns anything thrown while a request is handled into its answer; what is no one's fault but ours is logged. */
export function answerError(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const problem = toProblem(error)
  request.problem = problem
  if (isSchemaMissing(error)) request.log.error({ error }, 'a request needs what the schema does not have')
  if (problem.code === 'internal') request.log.error({ error }, 'a request failed because of a mistake of the service')
  reply
    .code(problem.status)
    .headers({ 'x-request-id': request.id, ...problemHeaders(problem) })
    .type(PROBLEM_MEDIA_TYPE)
    .send(JSON.stringify(problemDocument(problem, request.id)))
}

function toProblem(error: unknown): Problem {
  if (error instanceof Problem) return error
  const { code, statusCode } = (error ?? {}) as Partial<FastifyError>
  const known = FRAMEWORK_ERRORS[code ?? '']
  if (known) return new Problem(known[0], known[1], { cause: error })
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return new Problem(CODE_OF_STATUS[statusCode] ?? 'invalid_request', (error as Error).message, { cause: error })
  }
  if (isSchemaMissing(error)) return new Problem('database_unavailable', NO_SCHEMA_DETAIL, { cause: error })
  return new Problem('internal', 'The service made a mistake; its log says more under the requestId.', { cause: error })
}

function isSchemaMissing(error: unknown): boolean {
  return NO_SCHEMA.has(errorCode(error) ?? '')
}

function missing(request: FastifyRequest, methods: string[]): Problem {
  if (methods.length === 0) return new Problem('not_found', 'There is nothing under this path.')
  const allow = methods.join(', ')
  return new Problem('method_not_allowed', `${request.method} is not allowed here; ${allow} is.`, {
    headers: { allow },
  })
}
