import type { Server } from 'node:http'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { Problem, type ProblemCode } from '../../errors.ts'
import { JsonError } from '../../json/json-error.ts'
import type { App } from '../../schemas/app.ts'
import { PROBLEM_MEDIA_TYPE, problemDocument, problemHeaders } from '../../schemas/problem.ts'
import { databaseFate, toLastProblem } from '../../store/database-errors.ts'
import type { LeftoverBodies } from '../bodies/leftover-body.ts'
import { SECURITY_HEADERS } from '../security-headers.ts'
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

type Exchange = [request: FastifyRequest, reply: FastifyReply]

/** Answers every error as a problem document: thrown ones, Fastify's own, unknown paths and methods, and broken HTTP. */
export function answerProblems(app: App): void {
  const paths = new PathIndex()
  app.addHook('onRoute', (route) => paths.add(route.method, route.url))
  app.setErrorHandler((error, request, reply) => answerError(error, request, reply))
  const refuse = (request: FastifyRequest) => missing(request, paths.methodsOf(request.url))
  // Before the body is read; the handler is for what a route itself does not find.
  app.addHook('onRequest', (request, _reply, done) => done(request.is404 ? refuse(request) : undefined))
  app.setNotFoundHandler((request) => {
    throw refuse(request)
  })
  answerClientErrors(app.server as Server)
}

/** Turns anything thrown while a request is handled into its answer; what is no one's fault but ours is logged. */
function answerError(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  reply.send(problemAnswer(error, request, reply))
}

/** Answers what Fastify finds wrong with an address before it looks for a route: no hook runs for that. */
export function answerUnrouted(leftovers: LeftoverBodies, error: unknown, [request, reply]: Exchange): void {
  const answer = problemAnswer(error, request, reply)
  reply.headers(SECURITY_HEADERS).send(leftovers.dealWith(request, reply, answer))
}

/** Sets status and headers of the answer; answers its body. */
function problemAnswer(error: unknown, request: FastifyRequest, reply: FastifyReply): string {
  const problem = toProblem(error)
  request.problem = problem
  if (databaseFate(error) === 'setup') request.log.error({ error }, 'a request needs what the schema does not have')
  if (problem.code === 'internal') request.log.error({ error }, 'a request failed because of a mistake of the service')
  reply
    .code(problem.status)
    .headers({ 'x-request-id': request.id, ...problemHeaders(problem) })
    .type(PROBLEM_MEDIA_TYPE)
  return JSON.stringify(problemDocument(problem, request.id))
}

function toProblem(error: unknown): Problem {
  if (error instanceof Problem) return error
  if (error instanceof JsonError) return new Problem(error.code, `The body cannot be read. ${error.message}`)
  const { code, statusCode } = (error ?? {}) as Partial<FastifyError>
  const known = FRAMEWORK_ERRORS[code ?? '']
  if (known) return new Problem(known[0], known[1], { cause: error })
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return new Problem(CODE_OF_STATUS[statusCode] ?? 'invalid_request', (error as Error).message, { cause: error })
  }
  const passing = toLastProblem(error)
  if (passing) return passing
  return new Problem('internal', 'The service made a mistake; its log says more under the requestId.', { cause: error })
}

function missing(request: FastifyRequest, methods: string[]): Problem {
  const isKnown = methods.length > 0 && !methods.includes(request.method)
  if (!isKnown) return new Problem('not_found', 'There is nothing under this path; /docs shows what there is.')
  const allow = methods.join(', ')
  return new Problem('method_not_allowed', `${request.method} is not allowed here; ${allow} is.`, {
    headers: { allow },
  })
}
