import { MigrationError } from '../errors.ts'

/** A queue as a StorageInstance declares it: what is absent has the default of a queue. null is "no limit". */
export type DeclaredQueue = {
  name: string
  retryLimit?: number | null
  retryDelaySeconds?: number
  retryBackoff?: boolean
  deadLetter?: string | null
  maxAgeSeconds?: number | null
  keepDoneSeconds?: number
  politeness?: { delaySeconds?: number; maxActive?: number | null }
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$/
const MOST = 1_000
const KEYS = new Set([
  'name',
  'retryLimit',
  'retryDelaySeconds',
  'retryBackoff',
  'deadLetter',
  'maxAgeSeconds',
  'keepDoneSeconds',
  'politeness',
])

/** Reads declared queues from JSON, a list; throws `wrong_usage` that names what is wrong. */
export function parseDeclaredQueues(json: string): DeclaredQueue[] {
  const queues = parse(json)
  if (!Array.isArray(queues)) throw wrong('must be a JSON list')
  if (queues.length > MOST) throw wrong(`must be ${MOST} at most`)
  for (const [index, queue] of queues.entries()) check(queue, index)
  const names = queues.map((queue: DeclaredQueue) => queue.name)
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) throw wrong(`hold ${twice} twice`)
  return queues
}

function parse(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch (error) {
    throw wrong(`are no JSON (${(error as Error).message})`)
  }
}

function check(queue: unknown, index: number): void {
  if (typeof queue !== 'object' || queue === null) throw wrong(`[${index}] must be an object`)
  const { name, deadLetter } = queue as Partial<DeclaredQueue>
  if (typeof name !== 'string' || !NAME.test(name)) throw wrong(`[${index}].name is no name of a queue`)
  if (deadLetter !== undefined && deadLetter !== null && (!NAME.test(deadLetter) || deadLetter === name)) {
    throw wrong(`[${index}].deadLetter is no name of another queue`)
  }
  const unknown = Object.keys(queue).find((key) => !KEYS.has(key))
  if (unknown !== undefined) throw wrong(`[${index}] has the key ${unknown}, which is not known`)
}

function wrong(what: string): MigrationError {
  return new MigrationError('wrong_usage', `The declared queues ${what}.`)
}
