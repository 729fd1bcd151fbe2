import { setTimeout as sleep } from 'node:timers/promises'

/** The service refused a call with `status`, or could not be reached for two minutes: the message says what and why. */
export class StorageError extends Error {
  status?: number
}

const PATIENCE_MS = 120_000
const PAUSE_MS = 500

/**
 * Calls the storage service over HTTP. While it cannot be reached or has too much to do (429, 503), a call is repeated:
 * all that the crawler asks may be asked twice, because urls and receipts make it the same push, document or settling.
 */
export class Storage {
  readonly #base: string
  readonly #headers: Record<string, string>

  constructor(base: string, token?: string) {
    this.#base = base
    this.#headers = { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) }
  }

  async call<T>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
    return (await (await this.open(method, path, body, signal)).json()) as T
  }

  /** The same for an answer that is read as a stream. */
  async open(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<Response> {
    const request = { method, headers: this.#headers, body: JSON.stringify(body), signal }
    for (const giveUpAt = Date.now() + PATIENCE_MS; ; await sleep(PAUSE_MS, undefined, { signal })) {
      const answer = await fetch(new URL(path, this.#base), request).catch((error: Error) => error)
      if (answer instanceof Response && answer.ok) return answer
      const isPassing = answer instanceof Error || answer.status === 429 || answer.status === 503
      if (signal?.aborted || !isPassing || Date.now() > giveUpAt) throw await toError(answer)
    }
  }
}

async function toError(answer: Response | Error): Promise<StorageError> {
  if (answer instanceof Error) return new StorageError(`The service cannot be reached: ${answer.cause ?? answer}`)
  const problem = (await answer.json().catch(() => ({}))) as { detail?: string }
  const error = new StorageError(`The service answered ${answer.status}: ${problem.detail ?? answer.statusText}`)
  error.status = answer.status
  return error
}
