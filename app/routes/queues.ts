import type { FastifyReply, FastifyRequest } from 'fastify'
import { Problem } from '../errors.ts'
import { writeArray } from '../json/write.ts'
import type { App } from '../schemas/app.ts'
import * as schemas from '../schemas/queues.ts'
import type { QueueAdmin } from '../store/queue/admin/admin.ts'
import type { QueueCatalog, QueueDefinition, QueueOptions } from '../store/queue/definition/catalog.ts'
import { itemTexts } from '../store/queue/item/item-json.ts'
import type { QueueHosts } from '../store/queue/polite/host-settings.ts'
import type { SizeCounter } from '../store/queue/upkeep/sizes.ts'
import { OPTIONS_BYTES } from './body-limits.ts'
import { sendJson } from './send-json.ts'

/** What the control of queues works with. */
export type QueueControl = { catalog: QueueCatalog; sizes: SizeCounter; items: QueueAdmin; hosts: QueueHosts }

const READ = { access: 'Read' } as const
const WRITE = { access: 'Write' } as const
const ADMIN = { access: 'Admin' } as const
const WITHOUT_NEED_OF_BODY = { ...ADMIN, optionalBody: true, bodyLimit: OPTIONS_BYTES } as const
const tags = ['queues']
const NO_CONTENT = { 204: schemas.Nothing }

/** `/api/queues`: options, sizes, pause, items and hosts of queues. */
export function queuesRoutes(control: QueueControl): (app: App) => void {
  return (app) => {
    listRoutes(app, control)
    changeRoutes(app, control)
    pauseRoutes(app, control)
    itemRoutes(app, control)
    hostRoutes(app, control)
  }
}

function listRoutes(app: App, { catalog, sizes }: QueueControl): void {
  const list = { summary: 'All queues', operationId: 'listQueues', tags, response: { 200: schemas.QueueList } }
  app.get('/api/queues', { config: READ, schema: list }, async () => ({ queues: (await catalog.list()).map(toQueue) }))

  const get = {
    summary: 'One queue, with its options, sizes and the age of its oldest ready item',
    operationId: 'getQueue',
    tags,
    params: schemas.QueuePath,
    response: { 200: schemas.QueueState },
  }
  app.get('/api/queues/:queue', { config: READ, schema: get }, async ({ params }) => {
    catalog.forget(params.queue)
    const definition = await catalog.get(params.queue)
    return { ...toQueue(definition), ...(await sizes.count(definition)) }
  })
}

function changeRoutes(app: App, { catalog }: QueueControl): void {
  const put = {
    summary: 'Makes a queue, or replaces its options',
    description:
      'With `If-None-Match: *` the queue is only made (412 where there is one), which needs the access level Write; without, Admin.',
    operationId: 'putQueue',
    tags,
    params: schemas.QueuePath,
    body: schemas.QueueOptions,
    response: { 200: schemas.Queue, 201: schemas.Queue },
  }
  app.put(
    '/api/queues/:queue',
    {
      config: { ...WRITE, conditions: ['if-none-match'], bodyLimit: OPTIONS_BYTES },
      schema: put,
      onRequest: requireLevel,
    },
    async (request, reply) => {
      const { queue } = request.params
      const options = toOptions(request.body)
      if (onlyCreates(request)) return reply.code(201).send(toQueue(await catalog.create(queue, options)))
      const { created, definition } = await catalog.put(queue, options)
      return reply.code(created ? 201 : 200).send(toQueue(definition))
    },
  )

  const remove = {
    summary: 'Deletes a queue that is empty, or by force with all its items',
    description: 'A queue with very many items is 503 `unfinished` after 20 seconds: ask again, until it is gone.',
    operationId: 'deleteQueue',
    tags,
    params: schemas.QueuePath,
    querystring: schemas.DeleteQuery,
    response: NO_CONTENT,
  }
  app.delete('/api/queues/:queue', { config: ADMIN, schema: remove }, async ({ params, query }, reply) => {
    await catalog.delete(params.queue, { force: query.force ?? false, signal: reply.waitSignal() })
    return reply.code(204).send(null)
  })
}

/** What is there already is for those to change who control queues; anybody who can push can make one. */
function requireLevel(request: FastifyRequest, _reply: FastifyReply, done: () => void): void {
  request.requireAccess(onlyCreates(request) ? 'Write' : 'Admin')
  refuseTags(request)
  done()
}

/** RFC 9110: the condition holds where there is nothing under this address yet. */
function onlyCreates({ headers }: FastifyRequest): boolean {
  return headers['if-none-match']?.trim() === '*'
}

/** A queue has no entity tag that a caller could name. */
function refuseTags(request: FastifyRequest): void {
  if (request.headers['if-none-match'] === undefined || onlyCreates(request)) return
  throw new Problem('precondition_failed', 'Only If-None-Match: * is evaluated here; a queue has no entity tag.')
}

function pauseRoutes(app: App, { catalog }: QueueControl): void {
  for (const [action, paused] of [['pause', true] as const, ['resume', false] as const]) {
    const schema = {
      summary: paused
        ? 'Stops all pops of a queue; pushes and settling go on'
        : 'Lets a paused queue give items out again',
      operationId: `${action}Queue`,
      tags,
      params: schemas.QueuePath,
      body: schemas.NoFields,
      response: { 200: schemas.Queue },
    }
    app.post(
      `/api/queues/:queue/${action}`,
      { config: WITHOUT_NEED_OF_BODY, schema, preValidation: asEmptyObject },
      async ({ params }) => toQueue(await catalog.setPaused(params.queue, paused)),
    )
  }
}

function itemRoutes(app: App, { items }: QueueControl): void {
  const browse = {
    summary: 'The items of one state, without taking any',
    description: 'Waiting ones in pop order, delayed and leased ones by when that ends, the others by when they ended.',
    operationId: 'browseItems',
    tags,
    params: schemas.QueuePath,
    querystring: schemas.BrowseQuery,
    response: { 200: schemas.ItemPage },
  }
  app.get('/api/queues/:queue/items', { config: READ, schema: browse }, async (request, reply) => {
    const { state = 'waiting', limit = 100, cursor } = request.query
    const page = await items.browse(request.params.queue, { state, limit, cursor })
    request.rows = page.items.length
    const after = `,"nextCursor":${JSON.stringify(page.nextCursor)}}`
    return sendJson(reply, await writeArray({ values: page.items, toTexts: itemTexts, before: '{"items":', after }))
  })

  const purge = {
    summary: 'Deletes the items of one state that are there now',
    description: 'Answers within 30 seconds; where `more` is true, ask again.',
    operationId: 'purgeItems',
    tags,
    params: schemas.QueuePath,
    querystring: schemas.PurgeQuery,
    response: { 200: schemas.Purged },
  }
  app.delete('/api/queues/:queue/items', { config: ADMIN, schema: purge }, async (request, reply) => {
    const { state = 'waiting' } = request.query
    const answer = await items.purge(request.params.queue, { state, signal: reply.waitSignal() })
    request.rows = answer.purged
    return answer
  })
  redriveRoute(app, items)
}

function redriveRoute(app: App, items: QueueAdmin): void {
  const redrive = {
    summary: "Brings a queue's dead letters back into it, oldest first",
    description: 'Answers within 30 seconds; where `more` is true, ask again.',
    operationId: 'redriveItems',
    tags,
    params: schemas.QueuePath,
    body: schemas.RedriveRequest,
    response: { 200: schemas.Redriven },
  }
  const options = { config: WITHOUT_NEED_OF_BODY, schema: redrive, preValidation: asEmptyObject }
  app.post('/api/queues/:queue/redrive', options, async (request, reply) => {
    const { limit } = request.body
    const answer = await items.redrive(request.params.queue, { limit, signal: reply.waitSignal() })
    request.rows = answer.redriven
    return answer
  })
}

function hostRoutes(app: App, { hosts }: QueueControl): void {
  const path = '/api/queues/:queue/hosts/:host'
  const params = schemas.HostPath
  const get = {
    summary: "A host's own politeness",
    operationId: 'getHost',
    tags,
    params,
    response: { 200: schemas.Host },
  }
  app.get(path, { config: READ, schema: get }, ({ params: { queue, host } }) => hosts.get(queue, host))

  const put = {
    summary: "Replaces a host's own politeness",
    operationId: 'putHost',
    tags,
    params,
    body: schemas.HostSettings,
    response: { 200: schemas.Host },
  }
  app.put(path, { config: { ...ADMIN, bodyLimit: OPTIONS_BYTES }, schema: put }, ({ params: { queue, host }, body }) =>
    hosts.put(queue, host, body),
  )

  const reset = {
    summary: "Makes the queue's politeness hold for a host",
    operationId: 'resetHost',
    tags,
    params,
    response: NO_CONTENT,
  }
  app.delete(path, { config: ADMIN, schema: reset }, async ({ params: { queue, host } }, reply) => {
    await hosts.reset(queue, host)
    return reply.code(204).send(null)
  })
}

function toQueue({ tableName: _, ...queue }: QueueDefinition): Omit<QueueDefinition, 'tableName'> {
  return queue
}

function toOptions({ politeness, ...options }: schemas.QueueOptions): Partial<QueueOptions> {
  const { delaySeconds = 0, maxActive = null } = politeness ?? {}
  return { ...options, politeness: { delaySeconds, maxActive } }
}

/** A body that may be left out altogether is the same as one without fields. */
async function asEmptyObject(request: { body?: unknown }): Promise<void> {
  request.body ??= {}
}
