import { request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { JSONWebKeySet } from 'jose'

const TIMEOUT_MS = 5_000
const MAX_BYTES = 1_048_576

export type KeySource = {
  url: string
  /** Certificate authority in PEM; undefined: the public ones. Read at each fetch, because both rotate. */
  ca: () => string | undefined
  bearer: () => string | undefined
}

/** Fetches a JSON Web Key Set; rejects after 5 s, and for anything but 200 with keys in it. */
export async function fetchKeys(source: KeySource): Promise<JSONWebKeySet> {
  const response = await send(source)
  const text = await readText(response)
  if (response.statusCode !== 200) throw new Error(`the key server answered ${response.statusCode}`)
  const keys = JSON.parse(text) as JSONWebKeySet
  if (!Array.isArray(keys.keys)) throw new Error('the key server answered no key set')
  return keys
}

function send(source: KeySource): Promise<IncomingMessage> {
  const bearer = source.bearer()
  const headers = { accept: 'application/jwk-set+json, application/json', ...authorization(bearer) }
  const options: RequestOptions & { ca?: string } = { headers, signal: AbortSignal.timeout(TIMEOUT_MS), agent: false }
  const isTls = source.url.startsWith('https:')
  return new Promise((resolve, reject) => {
    const call = isTls
      ? httpsRequest(source.url, { ...options, ca: source.ca() }, resolve)
      : httpRequest(source.url, options, resolve)
    call.on('error', reject).end()
  })
}

function authorization(bearer: string | undefined): { authorization?: string } {
  return bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }
}

async function readText(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > MAX_BYTES) throw new Error('the key server answered more than 1 MiB')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}
