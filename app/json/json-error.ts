/** What a body or line that is not JSON, or too much of it, is turned down with; the message is a sentence for the caller. */
export class JsonError extends Error {
  readonly code: 'malformed_body' | 'body_too_large'

  constructor(message: string, code: JsonError['code'] = 'malformed_body') {
    super(message)
    this.code = code
    this.name = 'JsonError'
  }
}
