/** A task cannot go on: `code` is for programs, the message for people. It holds no secret. */
export class TaskError extends Error {
  readonly code: string

  constructor(code: string, message: string, options: { cause?: unknown } = {}) {
    super(message, options)
    this.name = 'TaskError'
    this.code = code
  }
}
