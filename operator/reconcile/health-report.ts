import type { SchemaReading } from '../plan/observed.ts'
import { textOf } from '../plan/runs/task-report.ts'

type Health = {
  database?: { serverVersion?: unknown }
  schema?: { drift?: unknown; differences?: unknown }
}

/** Reads what the service says of its schema; what it does not know, or says in another form, is unknown. */
export function parseHealth(body: unknown): Omit<SchemaReading, 'at'> {
  const { database, schema }: Health = typeof body === 'object' && body !== null ? body : {}
  const serverVersion = textOf(database?.serverVersion)?.split(' ')[0]
  return { ...driftOf(schema), ...(serverVersion && { serverVersion }) }
}

function driftOf(schema: Health['schema']): Pick<SchemaReading, 'drift' | 'message'> {
  if (schema?.drift === 'ok') return { drift: 'none', message: 'The schema matches the applied migrations.' }
  if (schema?.drift !== 'drifted') return { drift: 'unknown', message: 'The service has not compared its schema yet.' }
  const advice = '`npm run migrate -- verify` shows the changes object by object.'
  const said = `The schema was changed outside the migrations.${differences(schema.differences)}`
  return { drift: 'found', message: `${said} ${advice}` }
}

function differences(list: unknown): string {
  const first = Array.isArray(list) ? list.map((one) => textOf(one, 120)).filter((one) => one !== undefined) : []
  return first.length === 0 ? '' : ` Different: ${first.slice(0, 5).join(', ')}.`
}
