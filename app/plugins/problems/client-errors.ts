import { randomUUIDv7 } from 'node:crypto'
import { type Server, type ServerResponse, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import { Problem } from '../../errors.ts'
import { PROBLEM_MEDIA_TYPE, problemDocument } from '../../schemas/problem.ts'
import { endSoon } from '../end-soon.ts'
import { SECURITY_HEADERS } from '../security-headers.ts'

type ParserError = Error & { code?: string }
/** The answer that a socket is in the middle of; Node.js itself looks at it in the same place. */
type BusySocket = Socket & { _httpMessage?: ServerResponse | null }

/** Answers what is not HTTP at all, or never arrives, with a problem document, and closes the connection. */
export function answerClientErrors(server: Server): void {
  server.removeAllListeners('clientError')
  server.on('clientError', (error: ParserError, socket: BusySocket) => {
    // Nothing can be told to a peer that is gone, or in the middle of another answer.
    if (!socket.writable || error.code === 'ECONNRESET' || socket._httpMessage?.headersSent) {
      socket.destroy()
      return
    }
    socket.end(rawAnswer(toProblem(error)))
    endSoon(socket)
  })
}

function toProblem(error: ParserError): Problem {
  if (error.code === 'HPE_HEADER_OVERFLOW') {
    return new Problem('headers_too_large', 'The request line and headers are larger than 16 KiB.')
  }
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    return new Problem('request_timeout', 'The request headers did not arrive in time.')
  }
  return new Problem('invalid_request', 'This is not a valid HTTP request.')
}

function rawAnswer(problem: Problem): string {
  const requestId = randomUUIDv7()
  const body = JSON.stringify(problemDocument(problem, requestId))
  const head = [
    `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}`,
    `content-type: ${PROBLEM_MEDIA_TYPE}`,
    `content-length: ${Buffer.byteLength(body)}`,
    `x-request-id: ${requestId}`,
    ...Object.entries(SECURITY_HEADERS).map(([name, value]) => `${name}: ${value}`),
    'connection: close',
  ]
  return `${head.join('\r\n')}\r\n\r\n${body}`
}
