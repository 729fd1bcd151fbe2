import type { FastifyInstance } from 'fastify'
import { PgBoss } from 'pg-boss'
import type { Item } from '../data.ts'

type PushBody = { queue: string; items: Item[] }

/** A push as one writes it on plain pg-boss: `insert` with its own pool and its defaults. */
export async function registerBoss(
  app: FastifyInstance,
  options: { connectionString: string; max: number },
): Promise<void> {
  const boss = new PgBoss({ ...options, migrate: false, supervise: false, schedule: false })
  await boss.start()
  app.post<{ Body: PushBody }>('/api/queue', async ({ body }) => {
    const jobs = body.items.map(({ id, priority, payload }) => ({
      singletonKey: id,
      priority,
      data: payload,
      group: { id: new URL(payload.url).host },
    }))
    await boss.insert(body.queue, jobs)
    return { success: true, items: body.items.map(({ id }) => ({ id, result: 'created' })) }
  })
}
