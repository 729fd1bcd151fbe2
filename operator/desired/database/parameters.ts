import { OWNED_PARAMETER_PREFIXES, OWNED_PARAMETERS } from '../../api/owned-settings.ts'

const OWNED = new Set<string>(OWNED_PARAMETERS)
const NAME = /^[a-zA-Z_][a-zA-Z0-9_]*(\.[a-zA-Z_][a-zA-Z0-9_]*)?$/

/** One sentence for each parameter that may not be set, sorted; empty where all may. */
export function refusedParameters(parameters: Record<string, string> = {}): string[] {
  return Object.entries(parameters)
    .map(([name, value]) => refusal(name, value))
    .filter((sentence) => sentence !== undefined)
    .sort()
}

function refusal(name: string, value: string): string | undefined {
  if (!NAME.test(name)) return `"${name.slice(0, 60)}" is not the name of a setting of PostgreSQL`
  // PostgreSQL does not tell upper from lower case, so the schema's list of names is not enough.
  const lower = name.toLowerCase()
  if (OWNED.has(lower) || OWNED_PARAMETER_PREFIXES.some((prefix) => lower.startsWith(prefix))) {
    return `"${name}" is set by the operator itself`
  }
  return /[\n\r\0]/.test(value) ? `the value of "${name}" has a line break in it` : undefined
}
