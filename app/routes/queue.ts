import type { FastifyReply } from 'fastify'
import { LIMITS } from '../contract.ts'
import { Problem } from '../errors.ts'
import type { App } from '../schemas/app.ts'
import { QueueAnswer, QueueRequest } from '../schemas/queue.ts'
import type { QueueStore } from '../store/queue/queue-store.ts'

type Operation = QueueRequest['operation']

// A client of the original sends `items` with every operation.
const KEYS: Record<Operation, ReadonlySet<string>> = {
  push: new Set(['operation', 'queue', 'items']),
  pop: new Set(['operation', 'queue', 'items', 'count', 'leaseSeconds', 'waitSeconds', 'polite']),
  peek: new Set(['operation', 'queue', 'items', 'count']),
  ack: new Set(['operation', 'queue', 'items']),
  nack: new Set(['operation', 'queue', 'items']),
  extend: new Set(['operation', 'queue', 'items']),
}

const SCHEMA = {
  summary: 'Push, pop, peek, ack, nack or extend items of a queue',
  description: 'Each item has its own result. A peek needs the access level Read, everything else Write.',
  operationId: 'useQueue',
  tags: ['queue'],
  body: QueueRequest,
  response: { 200: QueueAnswer },
}

/** `POST /api/queue`: the items of queues. */
export function queueRoutes(queues: QueueStore): (app: App) => void {
  return (app) => {
    app.post('/api/queue', { config: { access: 'Read' }, schema: SCHEMA }, async (request, reply) => {
      const { body } = request
      if (body.operation !== 'peek') request.requireAccess('Write')
      checkKeys(body)
      const items = await perform(queues, body, reply)
      request.rows = items.length
      return { success: items.every((item) => !('result' in item && item.result === 'invalid')), items }
    })
  }
}

function perform(queues: QueueStore, body: QueueRequest, reply: FastifyReply) {
  const { operation, queue } = body
  const count = body.count ?? reply.server.config.queueBatchSize
  switch (operation) {
    case 'peek':
      return queues.peek(queue, count)
    case 'pop':
      return queues.pop(queue, { ...popOptions(body, reply), count })
    default:
      return queues[operation](queue, itemsOf(body))
  }
}

function popOptions({ leaseSeconds, waitSeconds, polite }: QueueRequest, reply: FastifyReply) {
  const gone = new AbortController()
  reply.raw.once('close', () => gone.abort())
  return {
    leaseSeconds,
    waitSeconds,
    polite: polite && { perHost: polite.perHost ?? 1 },
    signal: gone.signal,
    waitSignal: waitSeconds === undefined ? undefined : reply.waitSignal(),
  }
}

function checkKeys(body: QueueRequest): void {
  const allowed = KEYS[body.operation]
  const extra = Object.keys(body).find((key) => !allowed.has(key))
  if (extra === undefined) return
  const detail = `The key "${extra}" is not one of the operation ${body.operation}.`
  throw new Problem('invalid_request', detail, { errors: [{ pointer: `/${extra}`, code: 'unknown_key', detail }] })
}

function itemsOf({ items }: QueueRequest): unknown[] {
  if (Array.isArray(items) && items.length <= LIMITS.itemsPerRequest) return items
  const detail = `'items' must be an array of at most ${LIMITS.itemsPerRequest} items.`
  throw new Problem('invalid_request', detail, { errors: [{ pointer: '/items', code: 'invalid_value', detail }] })
}
