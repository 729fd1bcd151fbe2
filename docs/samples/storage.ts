import { setTimeout as sleep } from 'node:timers/promises'

/**
 * The service refused a call with `status`, or could not be reached: for two minutes, or for three seconds where it never
 * was before. The message says what and why.
 */
export class StorageError extends Error {
  status?: number
}

/** Headers beside those of every call, and a signal that ends it. */
export type CallOptions = { headers?: Record<string, string>; signal?: AbortSignal | undefined }

const PATIENCE_MS = 120_000
/** One that has not answered yet is rather not there than about to come back. */
const FIRST_PATIENCE_MS = 3_000
const PAUSE_MS = 500

/**
 * Calls the storage service over HTTP. While it cannot be reached or has too much to do (429, 503), a call is repeated:
 * all that the crawler asks may be asked twice, because urls and receipts make it the same push, document or settling.
 */
export class Storage {
  readonly #base: string
  readonly #headers: Record<string, string>
  #hasAnswered = false

  constructor(base: string, token?: string) {
    this.#base = base
    this.#headers = { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) }
  }

  async call<T>(method: string, path: string, body?: unknown, options?: CallOptions): Promise<T> {
    return (await (await this.open(method, path, body, options)).json()) as T
  }

  /** The same for an answer that is read as a stream. */
  async open(method: string, path: string, body?: unknown, options: CallOptions = {}): Promise<Response> {
    const { signal, headers } = options
    const request = { method, headers: { ...this.#headers, ...headers }, body: JSON.stringify(body), signal }
    for (const start = Date.now(); ; await sleep(PAUSE_MS, undefined, { signal })) {
      const answer = await fetch(new URL(path, this.#base), request).catch((error: Error) => error)
      if (answer instanceof Response) this.#hasAnswered = true
      if (answer instanceof Response && answer.ok) return answer
      const isPassing = answer instanceof Error || answer.status === 429 || answer.status === 503
      const patienceMs = this.#hasAnswered ? PATIENCE_MS : FIRST_PATIENCE_MS
      if (signal?.aborted || !isPassing || Date.now() > start + patienceMs) throw await this.#toError(answer)
    }
  }

  async #toError(answer: Response | Error): Promise<StorageError> {
    if (answer instanceof Response) return toError(answer)
    const advice = this.#hasAnswered ? '' : ' Start it with "npm start", or name another one with --service.'
    return new StorageError(`The service at ${this.#base} cannot be reached: ${answer.cause ?? answer}.${advice}`)
  }
}

async function toError(answer: Response): Promise<StorageError> {
  const problem = (await answer.json().catch(() => ({}))) as { detail?: string }
  const error = new StorageError(`The service answered ${answer.status}: ${problem.detail ?? answer.statusText}`)
  error.status = answer.status
  return error
}
