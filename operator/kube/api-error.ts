/** The `Status` that the API server answers with an error. */
type Status = { message?: string; reason?: string; details?: StatusDetails & { retryAfterSeconds?: number } }

/** What an error is about: the plural name of a kind, the name of an object, and the reasons behind the reason. */
export type StatusDetails = {
  kind?: string
  name?: string
  causes?: { reason?: string; field?: string; message?: string }[]
}

type ApiErrorOptions = { retryAfterMs?: number; details?: StatusDetails; cause?: unknown }

/** The API server said no, or could not be reached (code 0). The message holds nothing of the request's body. */
export class ApiError extends Error {
  /** HTTP status; 0 where there was no answer. */
  readonly code: number
  /** In one word: `NotFound`, `AlreadyExists`, `Conflict`, `Invalid`, `Forbidden`, `Expired`, ...; `Unreachable` or `Timeout` without an answer. */
  readonly reason: string
  /** How long the API server asks to wait. */
  readonly retryAfterMs: number | undefined
  readonly details: StatusDetails

  constructor(code: number, reason: string, message: string, options: ApiErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'ApiError'
    this.code = code
    this.reason = reason
    this.retryAfterMs = options.retryAfterMs
    this.details = options.details ?? {}
  }

  get isNotFound(): boolean {
    return this.code === 404
  }

  /** Somebody else has changed the object, owns the field, or made an object of that name; a webhook that answers 409 is none. */
  get isConflict(): boolean {
    return this.code === 409 && (this.reason === 'Conflict' || this.reason === 'AlreadyExists')
  }

  /** Who owns the fields that an apply without force would have changed; none for any other error. */
  get fieldOwners(): string[] {
    const causes = this.details.causes?.filter(({ reason }) => reason === 'FieldManagerConflict') ?? []
    return causes.map(({ field = '', message = '' }) => `${field}: ${message}`)
  }

  /** Whether this is among the reasons behind the reason. */
  hasCause(reason: string): boolean {
    return this.details.causes?.some((cause) => cause.reason === reason) ?? false
  }

  /** A resourceVersion or a continue token is too old: only a new list helps. */
  get isExpired(): boolean {
    return this.code === 410 || this.hasCause('ResourceVersionTooLarge')
  }
}

/** The error of an answer: the code and headers, and the body, which is a `Status` unless something in between answered. */
export function errorOfAnswer(
  code: number,
  headers: Record<string, string | string[] | undefined>,
  body: string,
): ApiError {
  const status = parseStatus(body)
  const seconds = Number(headers['retry-after'] ?? status.details?.retryAfterSeconds)
  return new ApiError(code, status.reason ?? `Http${code}`, status.message ?? `The API server answered ${code}.`, {
    retryAfterMs: Number.isFinite(seconds) ? seconds * 1_000 : undefined,
    details: status.details,
  })
}

/** Whether an error is an answer of the API server with this code. */
export function hasCode(error: unknown, code: number): boolean {
  return error instanceof ApiError && error.code === code
}

function parseStatus(body: string): Status {
  try {
    const status: unknown = JSON.parse(body)
    return typeof status === 'object' && status !== null ? status : {}
  } catch {
    return {}
  }
}
