/** Why the embedded server does not run: `in_use` and `port_in_use` are for the user to sort out, `failed` is the rest. */
export type EmbeddedPostgresProblem = 'failed' | 'in_use' | 'not_permitted' | 'port_in_use' | 'stopped'

/** An error of the embedded server; its message is a sentence for the user. */
export class EmbeddedPostgresError extends Error {
  readonly code: EmbeddedPostgresProblem

  constructor(code: EmbeddedPostgresProblem, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'EmbeddedPostgresError'
    this.code = code
  }
}
