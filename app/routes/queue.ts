import type { FastifyReply } from 'fastify'
import { LIMITS } from '../contract.ts'
import { Problem } from '../errors.ts'
import { writeArray } from '../json/write.ts'
import type { App } from '../schemas/app.ts'
import { DescribedQueueRequest, QueueAnswer, QueueRequest } from '../schemas/queue.ts'
import { itemTexts } from '../store/queue/item/item-json.ts'
import type { QueueStore } from '../store/queue/queue-store.ts'
import type { PeekedItem, PoppedItem, PushResult, SettleResult } from '../store/queue/types.ts'
import { TAKE_BYTES } from './body-limits.ts'
import { sendJson } from './send-json.ts'

const SCHEMA = {
  summary: 'Push, pop, peek, ack, nack or extend items of a queue',
  description: 'Each item has its own result. A peek needs the access level Read, everything else Write.',
  operationId: 'useQueue',
  tags: ['queue'],
  body: QueueRequest,
  response: { 200: QueueAnswer },
}

// Who may only read can only peek.
const CONFIG = { access: 'Read', describedBody: DescribedQueueRequest, readersBodyLimit: TAKE_BYTES } as const

/** `POST /api/queue`: the items of queues. */
export function queueRoutes(queues: QueueStore): (app: App) => void {
  return (app) => {
    app.post('/api/queue', { config: CONFIG, schema: SCHEMA }, async (request, reply) => {
      const { body } = request
      if (body.operation === 'peek') request.changesNothing = true
      else request.requireAccess('Write')
      checkSize(body, request.bodyBytes)
      const items = await perform(queues, body, reply)
      request.rows = items.length
      const success = items.every((item) => !('result' in item && item.result === 'invalid'))
      const before = `{"success":${success},"items":`
      return sendJson(reply, await writeArray({ values: items, toTexts: textsOf, before, after: '}' }))
    })
  }
}

type AnswerItem = PoppedItem | PeekedItem | PushResult | SettleResult

function textsOf(items: AnswerItem[]): string[] {
  const [first] = items
  if (first === undefined || !('payloadJson' in first)) return [JSON.stringify(items).slice(1, -1)]
  return itemTexts(items as (PoppedItem | PeekedItem)[])
}

function perform(queues: QueueStore, body: QueueRequest, reply: FastifyReply): Promise<AnswerItem[]> {
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
  return {
    leaseSeconds,
    waitSeconds,
    polite: polite && { perHost: polite.perHost ?? 1 },
    signal: reply.goneSignal(),
    waitSignal: waitSeconds === undefined ? undefined : reply.waitSignal(),
  }
}

/** Only the body says which operation it is for. */
function checkSize({ operation }: QueueRequest, bodyBytes: number): void {
  if ((operation !== 'pop' && operation !== 'peek') || bodyBytes <= TAKE_BYTES) return
  throw new Problem('body_too_large', `The body of a ${operation} is larger than ${TAKE_BYTES} bytes.`)
}

function itemsOf({ items }: QueueRequest): unknown[] {
  if (Array.isArray(items) && items.length <= LIMITS.itemsPerRequest) return items
  const form = `an array of at most ${LIMITS.itemsPerRequest} items`
  const isMissing = items === undefined || items === null
  const detail = isMissing ? `The key "items" is missing: ${form}.` : `'items' must be ${form}.`
  const place = isMissing ? { pointer: '', code: 'missing' } : { pointer: '/items', code: codeOfItems(items) }
  throw new Problem('invalid_request', detail, { errors: [{ ...place, detail }] })
}

function codeOfItems(items: unknown): string {
  return Array.isArray(items) ? 'invalid_value' : 'invalid_type'
}
