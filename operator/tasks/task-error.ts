/** A task cannot go on: `code` is for programs, the message for people. It holds no secret. */
export class TaskError extends Error {
  readonly code: string

  constructor(code: string, message: string, options: { cause?: unknown } = {}) {
    super(message, options)
    this.name = 'TaskError'
    this.code = code
  }
}

/** What a task reports of the error that ended it; `failed` is the code of all that is not a `TaskError`. */
export function failureOf(error: unknown): { code: string; error: string } {
  const code = error instanceof TaskError ? error.code : 'failed'
  return { code, error: error instanceof Error ? error.message : String(error) }
}
