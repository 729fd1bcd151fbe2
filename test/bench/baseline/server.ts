/** The other side: the same endpoints in plain Fastify, one prepared raw statement a request, no validation. */
import Fastify from 'fastify'
import pg from 'pg'
import { registerBoss } from './boss.ts'
import { registerDocuments } from './documents.ts'
import { registerLean } from './lean.ts'
import { registerQueue } from './queue.ts'
import { keepTimesAsText } from './types.ts'

const { DATABASE_URL, PORT, MAX_POOL_SIZE, BASELINE } = process.env

keepTimesAsText()
const pool = new pg.Pool({ connectionString: DATABASE_URL, max: Number(MAX_POOL_SIZE) })
const app = Fastify({ logger: false, bodyLimit: 1 << 26 })

app.get('/readyz', async () => ({ status: 'ok' }))
registerDocuments(app, pool, BASELINE === 'distinct')
if (BASELINE === 'boss') await registerBoss(app, { connectionString: DATABASE_URL ?? '', max: Number(MAX_POOL_SIZE) })
else if (BASELINE === 'lean') registerLean(app, pool)
else registerQueue(app, pool)
await app.listen({ host: '127.0.0.1', port: Number(PORT) })

process.on('SIGTERM', () => process.exit(0))
