/** One row of the error table: what a problem's code means over HTTP. */
export type ProblemDefinition = { status: number; title: string }

/**
 * Every code a problem document can carry (RFC 9457 `code` extension). The documentation is tested against this table.
 * Only `internal` is a fault of ours; everything else is the caller's request or the state of the service.
 */
export const PROBLEMS = {
  auth_unavailable: { status: 503, title: 'The credential cannot be checked at the moment' },
  body_too_large: { status: 413, title: 'The request body is too large' },
  conflict: { status: 409, title: 'The request conflicts with the state of the resource' },
  cursor_expired: { status: 410, title: 'The cursor is too old' },
  database_unavailable: { status: 503, title: 'The database cannot be reached or used' },
  dead_letter_in_use: { status: 409, title: 'Other queues send their dead letters here' },
  forbidden: { status: 403, title: 'The caller has no access of this level' },
  headers_too_large: { status: 431, title: 'The request headers are too large' },
  internal: { status: 500, title: 'The service made a mistake' },
  invalid_cursor: { status: 400, title: 'The cursor cannot be read' },
  invalid_query: { status: 400, title: 'A query parameter or its value is not allowed' },
  invalid_request: { status: 400, title: 'The request does not have the expected form' },
  malformed_body: { status: 400, title: 'The request body cannot be read' },
  method_not_allowed: { status: 405, title: 'The method is not allowed here' },
  misdirected_request: { status: 421, title: 'The request is for another host' },
  not_acceptable: { status: 406, title: 'No acceptable media type' },
  not_found: { status: 404, title: 'There is nothing here' },
  overloaded: { status: 503, title: 'The service has too much to do' },
  precondition_failed: { status: 412, title: 'A condition of the request does not hold' },
  query_timeout: { status: 503, title: 'The database took too long' },
  query_too_broad: { status: 422, title: 'The filters match too much to be answered in time' },
  queue_limit: { status: 409, title: 'There are as many queues as are allowed' },
  queue_not_empty: { status: 409, title: 'The queue is not empty' },
  queue_paused: { status: 409, title: 'The queue is paused' },
  request_timeout: { status: 408, title: 'The request took too long to arrive' },
  stopping: { status: 503, title: 'The service is stopping' },
  strict_failed: { status: 422, title: 'Nothing was stored because an item is wrong' },
  too_many_requests: { status: 429, title: 'Too many requests' },
  unauthorized: { status: 401, title: 'A valid credential is needed' },
  unfinished: { status: 503, title: 'There was more to do than the time allows' },
  unprocessable: { status: 422, title: 'The content is not allowed' },
  unsupported_media_type: { status: 415, title: 'The media type is not supported' },
} as const satisfies Record<string, ProblemDefinition>

export type ProblemCode = keyof typeof PROBLEMS

/** Codes of an error inside one document, item or line, and whether sending the same thing again can succeed. */
export const ITEM_ERRORS = {
  id_conflict: { retryable: false },
  invalid_id: { retryable: false },
  invalid_item: { retryable: false },
  invalid_number: { retryable: false },
  invalid_receipt: { retryable: false },
  invalid_text: { retryable: false },
  invalid_time: { retryable: false },
  invalid_type: { retryable: false },
  invalid_url: { retryable: false },
  line_too_long: { retryable: false },
  malformed_json: { retryable: false },
  metadata_too_large: { retryable: false },
  payload_too_large: { retryable: false },
  too_deep: { retryable: false },
  unavailable: { retryable: true },
  unknown_key: { retryable: false },
  url_conflict: { retryable: false },
} as const satisfies Record<string, { retryable: boolean }>

export type ItemErrorCode = keyof typeof ITEM_ERRORS

/** One entry of `errors` in a problem document; `pointer` is an RFC 6901 JSON pointer into the request body. */
export type ProblemEntry = { pointer: string; code: string; detail: string }

export type ProblemOptions = {
  errors?: ProblemEntry[]
  /** Answered as `Retry-After`; every 429 and 503 has one (default 1). */
  retryAfterSeconds?: number
  headers?: Record<string, string>
  cause?: unknown
}

/** An error that is answered as a problem document (RFC 9457). `detail` is a sentence for the caller: never a secret, never SQL. */
export class Problem extends Error {
  readonly code: ProblemCode
  readonly options: ProblemOptions

  constructor(code: ProblemCode, detail: string, options: ProblemOptions = {}) {
    super(detail, { cause: options.cause })
    this.name = 'Problem'
    this.code = code
    this.options = options
  }

  /** The HTTP status of the code. */
  get status(): number {
    return PROBLEMS[this.code].status
  }
}

/** What is wrong with one document, item or line; a value, never thrown across the store's border. */
export type ItemError = { code: ItemErrorCode; message: string; pointer?: string; storedId?: string }
