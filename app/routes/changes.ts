import { LIMITS } from '../contract.ts'
import type { App } from '../schemas/app.ts'
import { ChangesPage, ListChanges } from '../schemas/changes.ts'
import type { ChangeFeed } from '../store/documents/changes/feed.ts'
import { sendJson } from './send-json.ts'

const DESCRIPTION = `Every document at its last change, in its newest state, and every deletion. A reader that goes on from
\`nextCursor\` misses nothing that was committed; after a fail-over something may come twice. A newer \`crawledAt\` is no
change. Deletions come whatever the filter, and are told for CHANGES_KEEP_DAYS.`

const SCHEMA = {
  summary: 'Follow the changes of documents',
  description: DESCRIPTION,
  operationId: 'listChanges',
  tags: ['documents'],
  querystring: ListChanges,
  response: { 200: ChangesPage },
}

/** `GET /api/documents/changes`. */
export function changesRoutes(feed: ChangeFeed): (app: App) => void {
  return (app) => {
    const options = { config: { access: 'Read' } as const, schema: SCHEMA }
    app.get('/api/documents/changes', options, async (request, reply) => {
      const { limit, waitSeconds } = request.query
      const signal = waitSeconds === undefined ? reply.goneSignal() : reply.waitSignal()
      const answer = await feed.read({ ...request.query, limit: limit ?? LIMITS.listDefault, signal })
      request.rows = answer.count
      return sendJson(reply, answer.json)
    })
  }
}
