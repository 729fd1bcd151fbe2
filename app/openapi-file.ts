/** `npm run openapi`: writes docs/openapi.json from the routes; needs no database. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { loadConfig } from './config/config.ts'
import { openApiText } from './plugins/openapi/openapi.ts'
import { buildApp } from './server.ts'
import { silentObserver } from './store/observer.ts'
import { createStores } from './stores.ts'

const FILE = join(import.meta.dirname, '../docs/openapi.json')

const config = loadConfig({ DATABASE_URL: 'postgres://127.0.0.1/unused', AUTH: 'kubernetes' })
const authenticator = { authenticate: () => ({ name: 'nobody', access: 'Read' as const }) }
const app = await buildApp(config, createStores(config, silentObserver), { authenticator })
await app.ready()
await writeFile(FILE, openApiText(app))
await app.close()
