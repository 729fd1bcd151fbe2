import { Problem } from '../../../errors.ts'
import { checkText, checkTime, isItemError } from '../../check.ts'
import type { Database } from '../../database.ts'
import { timeText } from '../../time.ts'
import { normalHost } from '../../url-host.ts'
import type { QueueCatalog } from '../definition/catalog.ts'

/** What one host of a queue has of its own; null: as the queue says (`blockedUntil`: not blocked). Times are RFC 3339. */
export type HostSettings = { delaySeconds: number | null; blockedUntil: string | null; maxActive: number | null }

/** The settings of a host, and until when its delay or block lasts (null: it may be asked now). */
export type HostState = HostSettings & { host: string; busyUntil: string | null }

const HOST = { name: 'host', minBytes: 1, maxBytes: 255 }

const COLUMNS = `delay_seconds AS "delaySeconds", ${timeText('blocked_until')} AS "blockedUntil",
  max_active AS "maxActive", CASE WHEN GREATEST(ready_at, blocked_until) > now()
    THEN ${timeText('GREATEST(ready_at, blocked_until)')} END AS "busyUntil"`

const GET = {
  name: 'queue_host_get',
  text: `SELECT ${COLUMNS} FROM storage.queue_host WHERE queue = $1 AND host = $2`,
}
const PUT = {
  name: 'queue_host_put',
  text: `INSERT INTO storage.queue_host (queue, host, delay_seconds, blocked_until, max_active)
    VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (queue, host) DO UPDATE
    SET delay_seconds = $3, blocked_until = $4, max_active = $5
    RETURNING ${COLUMNS}`,
}
const RESET = {
  name: 'queue_host_reset',
  text: `UPDATE storage.queue_host SET delay_seconds = NULL, blocked_until = NULL, max_active = NULL
    WHERE queue = $1 AND host = $2`,
}

/**
 * The politeness of single hosts, kept in the database. A host is the group of its items, in lower case, in punycode and
 * without a trailing dot. A queue that is not there is `not_found`.
 */
export class QueueHosts {
  readonly #database: Database
  readonly #catalog: QueueCatalog
  readonly #onChange: (queue: string) => void

  /** `onChange` is called after a change: items may have become free to give out. */
  constructor(database: Database, catalog: QueueCatalog, onChange: (queue: string) => void = () => {}) {
    this.#database = database
    this.#catalog = catalog
    this.#onChange = onChange
  }

  /** The settings of a host; one that has none of its own has all null. */
  async get(queue: string, host: string): Promise<HostState> {
    const name = toName(host)
    await this.#catalog.get(queue)
    const { rows } = await this.#database.query<Omit<HostState, 'host'>>(GET, [queue, name])
    return { host: name, ...(rows[0] ?? NO_SETTINGS) }
  }

  /** Replaces the settings of a host. A delay that has begun keeps its end. */
  async put(queue: string, host: string, settings: Partial<HostSettings>): Promise<HostState> {
    const name = toName(host)
    const blockedUntil = toTime(settings.blockedUntil ?? null)
    await this.#catalog.get(queue)
    const values = [queue, name, settings.delaySeconds ?? null, blockedUntil, settings.maxActive ?? null]
    const { rows } = await this.#database.query<Omit<HostState, 'host'>>(PUT, values)
    this.#onChange(queue)
    return { host: name, ...(rows[0] ?? NO_SETTINGS) }
  }

  /** Lets the queue's own settings hold for a host again. */
  async reset(queue: string, host: string): Promise<void> {
    const name = toName(host)
    await this.#catalog.get(queue)
    await this.#database.query(RESET, [queue, name])
    this.#onChange(queue)
  }
}

const NO_SETTINGS = { delaySeconds: null, blockedUntil: null, maxActive: null, busyUntil: null }

function toName(host: string): string {
  const fault = checkText(host, HOST)
  if (fault !== undefined) throw new Problem('invalid_request', fault.message)
  return normalHost(host)
}

function toTime(value: string | null): string | null {
  if (value === null) return null
  const time = checkTime(value, 'blockedUntil')
  if (!isItemError(time)) return time
  throw new Problem('invalid_request', time.message, {
    errors: [{ pointer: '/blockedUntil', code: time.code, detail: time.message }],
  })
}
