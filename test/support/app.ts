import { once } from 'node:events'
import { connect } from 'node:net'
import { Writable } from 'node:stream'
import { type Config, loadConfig } from '../../app/config/config.ts'
import { listen } from '../../app/listen.ts'
import { createLogger } from '../../app/log.ts'
import type { App } from '../../app/schemas/app.ts'
import { buildApp, type GivenParts } from '../../app/server.ts'
import { silentObserver } from '../../app/store/observer.ts'
import { createStores, type Stores } from '../../app/stores.ts'
import { atEndOfFile } from './end-of-file.ts'

const DEFAULTS = { DATABASE_URL: 'postgres://nobody@127.0.0.1:1/nothing', AUTH: 'none', LOG_LEVEL: 'off' }

export type TestAppOptions = {
  env?: Record<string, string>
  /** Changes the configuration where the environment would not allow it. */
  configure?: (config: Config) => Config
  parts?: Partial<GivenParts>
  /** Called with the stores before there are any requests. */
  onStores?: (stores: Stores) => void
  /** Routes of the test's own, beside those of the service. */
  routes?: (app: App) => void
}

/** The HTTP interface alone, with a database that is not there; it ends with the file. */
export async function buildTestApp(options: TestAppOptions = {}): Promise<App> {
  const { env, configure = (given) => given, parts, onStores, routes } = options
  const config = configure(loadConfig({ ...DEFAULTS, ...env }))
  const stores = createStores(config, silentObserver)
  onStores?.(stores)
  const app = await buildApp(config, stores, parts)
  routes?.(app)
  await app.ready()
  atEndOfFile(async () => {
    await app.close()
    await stores.database.close()
  })
  return app
}

/** The same on a real port; answers its address. */
export async function listenTestApp(options: TestAppOptions = {}): Promise<string> {
  const app = await buildTestApp(options)
  atEndOfFile(() => app.server.closeAllConnections())
  return listen(app.server, '127.0.0.1', 0)
}

/** Sends bytes as they are and answers everything that comes back until the server closes the connection. */
export async function sendRaw(url: string, text: string): Promise<string> {
  const { hostname, port } = new URL(url)
  const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true })
  const chunks: Buffer[] = []
  socket.on('data', (chunk) => chunks.push(chunk))
  socket.write(text)
  await once(socket, 'end')
  socket.destroy()
  return Buffer.concat(chunks).toString()
}

/** A logger that keeps its lines. */
export function capturingLogger() {
  const lines: string[] = []
  const destination = new Writable({
    write(chunk, _encoding, done) {
      lines.push(String(chunk))
      done()
    },
  })
  return { log: createLogger('trace', destination), lines }
}
