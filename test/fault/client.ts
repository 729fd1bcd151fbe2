const TIMEOUT_MS = 15_000

/** Sends JSON and answers JSON; undefined when there was no answer, or 503: the request may or may not have been carried out. */
export async function send<T>(method: string, url: string, body?: unknown): Promise<T | undefined> {
  const request = {
    method,
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json' },
    signal: AbortSignal.timeout(TIMEOUT_MS),
  }
  const answer = await attempt(url, request)
  if (!answer || answer.status === 503) return undefined
  if (answer.status < 300) return JSON.parse(answer.text) as T
  throw new Error(`${method} ${url} was answered ${answer.status}: ${answer.text}`)
}

async function attempt(url: string, request: RequestInit): Promise<{ status: number; text: string } | undefined> {
  try {
    const response = await fetch(url, request)
    return { status: response.status, text: await response.text() }
  } catch {
    return undefined
  }
}
