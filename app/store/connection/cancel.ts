import pg from 'pg'

/** The wire of node-postgres, as far as a cancel request needs it; its types leave these out. */
type Wire = pg.Connection & {
  connect(port: number | string, host?: string): void
  requestSsl(): void
  cancel(processId: number, secretKey: number): void
}

/** Whose statement is to be cancelled: the key is the one that the server gave to this connection. */
export type Cancellable = {
  host: string
  port: number
  ssl: unknown
  processID: number | null
  secretKey: number | null
}

/**
 * Asks the server to cancel what a connection is at (CancelRequest), on a connection of its own, so that it works through a
 * pooler too. Tells nothing: whether it had an effect shows on the connection. Gives up after `timeoutMs`.
 */
export function cancelRequest(target: Cancellable, timeoutMs: number): void {
  const { host, port, ssl, processID, secretKey } = target
  if (processID === null || secretKey === null) return
  const wire = new pg.Connection({ ssl } as pg.ConnectionConfig) as Wire
  const end = () => wire.stream.destroy()
  const timer = setTimeout(end, timeoutMs)
  const send = () => wire.cancel(processID, secretKey)
  wire.on('error', end)
  wire.on('end', () => clearTimeout(timer))
  wire.on('sslconnect', send)
  wire.on('connect', () => (ssl ? wire.requestSsl() : send()))
  if (host.startsWith('/')) wire.connect(`${host}/.s.PGSQL.${port}`)
  else wire.connect(port, host)
}
