/** A web site to crawl, on this machine, that remembers who asked for what and when. */
import { once } from 'node:events'
import { readFile, stat } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { extname, join, normalize } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { atEndOfFile } from './end-of-file.ts'

/** What the site says to one request; status 200 and HTML unless said. `delayMs` passes before it is said. */
export type Answer = {
  status?: number
  headers?: Record<string, string>
  body?: string | Uint8Array
  delayMs?: number
}

/** Answers a path; `visit` counts from 1 how often this path was asked for. */
export type Pages = (path: string, visit: number) => Answer | Promise<Answer>

/** One request. Times are of `performance.now()`; `endedAtMs` is absent while it is under way. */
export type Visit = { url: string; host: string; startedAtMs: number; endedAtMs?: number }

export type Site = {
  port: number
  visits: Visit[]
  /** The url of a path, under the name `127.0.0.1` unless another name of this machine is given. */
  url(path: string, name?: string): string
}

const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
}
const MISSING: Answer = { status: 404, body: '<title>Not found</title>' }

/** Serves pages on a free port until the end of the file. */
export async function startSite(pages: Pages): Promise<Site> {
  const visits: Visit[] = []
  const server = createServer((request, response) => {
    respond(request, response, { pages, visits }).catch((error: Error) => response.destroy(error))
  })
  server.listen(0)
  await once(server, 'listening')
  atEndOfFile(async () => {
    server.close()
    server.closeAllConnections()
    await once(server, 'close')
  })
  const { port } = server.address() as AddressInfo
  return { port, visits, url: (path, name = '127.0.0.1') => `http://${name}:${port}${path}` }
}

/** The files of a folder, with their times. */
export function filesOf(folder: string): Pages {
  return async (path) => {
    const file = join(folder, normalize(decodeURIComponent(path)))
    const found = await stat(file).catch(() => undefined)
    if (!found?.isFile()) return MISSING
    const type = TYPES[extname(file)] ?? 'application/octet-stream'
    return {
      headers: { 'content-type': type, 'last-modified': found.mtime.toUTCString() },
      body: await readFile(file),
    }
  }
}

type Context = { pages: Pages; visits: Visit[] }

async function respond(request: IncomingMessage, response: ServerResponse, { pages, visits }: Context): Promise<void> {
  const { pathname, href } = new URL(request.url ?? '/', `http://${request.headers.host}`)
  const visit: Visit = { url: href, host: request.headers.host ?? '', startedAtMs: performance.now() }
  visits.push(visit)
  response.once('close', () => {
    visit.endedAtMs = performance.now()
  })
  const answer = await pages(pathname, visits.filter(({ url }) => url === href).length)
  if (answer.delayMs) await delay(answer.delayMs)
  response.writeHead(answer.status ?? 200, { 'content-type': 'text/html; charset=utf-8', ...answer.headers })
  response.end(answer.body ?? '')
}
