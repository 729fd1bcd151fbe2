import { toDouble } from '../../json/numbers.ts'
import type { JsonSchema } from './null-dropper.ts'

const DECIMAL = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/

/**
 * Makes a function that reads the numbers and booleans of a query, which are texts there. What is neither stays a text, for
 * its schema to refuse.
 */
export function queryReader(schema: JsonSchema): (data: unknown) => void {
  const types = Object.entries((schema.properties ?? {}) as Record<string, JsonSchema>)
  return (data) => {
    const query = (data ?? {}) as Record<string, unknown>
    for (const [key, { type }] of types) if (typeof query[key] === 'string') query[key] = readText(type, query[key])
  }
}

function readText(type: unknown, text: string): unknown {
  const number = text.trim()
  if ((type === 'integer' || type === 'number') && DECIMAL.test(number)) return toDouble(number)
  return type === 'boolean' && (text === 'true' || text === 'false') ? text === 'true' : text
}
