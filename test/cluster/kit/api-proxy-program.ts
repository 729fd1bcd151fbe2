/**
 * Runs in a pod, with a seed as its argument: hands requests on to the API server of the cluster with the credentials they
 * carry, and answers some of them with an error instead. Port 8080 is for clients (plain HTTP), 8081 takes the faults as JSON.
 */
import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { request } from 'node:https'
import { pipeline } from 'node:stream/promises'
import { Random } from '../../fault/random.ts'

/** Answer `status` to this share (0 to 1) of the requests whose method and path match. */
type Fault = { status: number; share: number; method?: string; path?: string; retryAfterSeconds?: number }

const CLIENT_PORT = 8080
const CONTROL_PORT = 8081
const HOST = process.env.KUBERNETES_SERVICE_HOST
// In the certificate of every cluster, whatever name the client used.
const NAME = 'kubernetes.default.svc'
const PORT = process.env.KUBERNETES_SERVICE_PORT
const CA = readFileSync('/var/run/secrets/kubernetes.io/serviceaccount/ca.crt')

const random = new Random(Number(process.argv[2]))
let faults: Fault[] = []
let injected = 0

function faultFor({ method, url = '' }: IncomingMessage): Fault | undefined {
  const fitting = faults.filter((fault) => (fault.method ?? method) === method && url.includes(fault.path ?? ''))
  return fitting.find(({ share }) => random.chance(share))
}

function refuse(response: ServerResponse, { status, retryAfterSeconds }: Fault): void {
  injected += 1
  if (retryAfterSeconds !== undefined) response.setHeader('retry-after', retryAfterSeconds)
  const reason = status === 429 ? 'TooManyRequests' : 'InternalError'
  const body = { kind: 'Status', apiVersion: 'v1', status: 'Failure', message: 'injected', reason, code: status }
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

function forward(incoming: IncomingMessage, response: ServerResponse): void {
  const { method, url: path, headers } = incoming
  const server = { host: HOST, port: PORT, ca: CA, servername: NAME }
  const outgoing = request({ ...server, method, path, headers: { ...headers, host: NAME } }, async (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.headers)
    // A watch says nothing for a long time; its headers must not wait for the first event.
    response.flushHeaders()
    await pipeline(answer, response).catch(() => {})
  })
  outgoing.on('error', (error) => {
    console.error(`${method} ${path}: ${error.message}`)
    response.destroy()
  })
  response.on('close', () => outgoing.destroy())
  incoming.pipe(outgoing)
}

async function control(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
  const chunks: Buffer[] = []
  for await (const chunk of incoming as AsyncIterable<Buffer>) chunks.push(chunk)
  if (incoming.method === 'PUT') faults = JSON.parse(Buffer.concat(chunks).toString()) as Fault[]
  response.end(JSON.stringify({ injected }))
}

createServer((incoming, response) => {
  const fault = faultFor(incoming)
  if (fault) refuse(response, fault)
  else forward(incoming, response)
}).listen(CLIENT_PORT)
createServer(control).listen(CONTROL_PORT, '127.0.0.1')
process.once('SIGTERM', () => process.exit(0))
