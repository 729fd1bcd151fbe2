import type { Logger } from 'pino'
import { type Config, loadConfig } from '../../app/config/config.ts'
import { type Service, startService } from '../../app/server.ts'
import { createTestDatabase, type TestDatabase } from './database.ts'
import { atEndOfFile } from './end-of-file.ts'

/** `env` are variables as on the command line; `databaseUrl` is for a server of the test's own. */
export type TestServiceOptions = {
  env?: Record<string, string>
  database?: TestDatabase
  databaseUrl?: string
  log?: Logger
}

/** What the service answered; `body` is parsed where it is JSON, otherwise text. */
export type Answer<B = unknown> = { status: number; headers: Headers; body: B }

/** The real service on free ports, and how to call it. */
export type TestService = Service & {
  config: Config
  /** Undefined where `databaseUrl` was given. */
  database: TestDatabase | undefined
  /** Sends `body` as JSON, unless it is a string or bytes. */
  call<B = unknown>(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer<B>>
}

const DEFAULTS = { HOST: '127.0.0.1', PORT: '0', METRICS_PORT: '0', AUTH: 'none', LOG_LEVEL: 'off' }

/** Starts the service against a test database of its own; both go with the file. */
export async function startTestService(options: TestServiceOptions = {}): Promise<TestService> {
  const database = options.databaseUrl ? undefined : (options.database ?? (await createTestDatabase()))
  const url = options.databaseUrl ?? database?.url
  // Where the tests go through a pooler, long polls are woken all the same.
  const DATABASE_DIRECT_URL = database?.directUrl
  const config = loadConfig({ ...DEFAULTS, DATABASE_URL: url, DATABASE_DIRECT_URL, ...options.env })
  const service = await startService(config, options.log ? { log: options.log } : {})
  let stopped: Promise<void> | undefined
  const stop = () => (stopped ??= service.stop())
  atEndOfFile(stop)
  const { url: address, metricsUrl, app } = service
  const call: TestService['call'] = (method, path, body, headers) =>
    send(`${address}${path}`, { method, body, headers })
  return { url: address, metricsUrl, app, stop, config, database, call }
}

type Request = { method: string; body?: unknown; headers?: Record<string, string> | undefined }

async function send<B>(url: string, { method, body, headers = {} }: Request): Promise<Answer<B>> {
  const isRaw = typeof body === 'string' || body instanceof Uint8Array
  const type: Record<string, string> = body === undefined || isRaw ? {} : { 'content-type': 'application/json' }
  const payload = isRaw ? body : JSON.stringify(body)
  const response = await fetch(url, { method, headers: { ...type, ...headers }, body: payload as string })
  const text = await response.text()
  const isJson = /\bjson\b/.test(response.headers.get('content-type') ?? '') && !text.includes('\n{')
  return { status: response.status, headers: response.headers, body: (isJson && text ? JSON.parse(text) : text) as B }
}
