import { readFileSync } from 'node:fs'

/** The variables of a task's pod. */
export type Environment = Record<string, string | undefined>

/** A variable that is wrong; the message names it, never its value where that is a secret. */
export class EnvironmentError extends Error {
  override readonly name = 'EnvironmentError'
}

/** The value of `name`, or the content of the file that `<name>_FILE` names; undefined where neither is set. */
export function readSecret(env: Environment, name: string): string | undefined {
  const file = env[`${name}_FILE`]
  if (!file) return env[name] || undefined
  try {
    return readFileSync(file, 'utf8').trim()
  } catch (error) {
    throw new EnvironmentError(`${name}_FILE: ${file} cannot be read (${(error as NodeJS.ErrnoException).code})`)
  }
}

/** The same for one that has to be there. */
export function requireSecret(env: Environment, name: string): string {
  const value = readSecret(env, name)
  if (value !== undefined) return value
  throw new EnvironmentError(`${name}: not set, nor ${name}_FILE`)
}

/** The parts of a list with commas between them. */
export function readList(env: Environment, name: string): string[] {
  return (env[name] ?? '')
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
}

/** Whether a variable is `true` or `yes`. */
export function readFlag(env: Environment, name: string): boolean {
  return ['true', 'yes'].includes((env[name] ?? '').toLowerCase())
}
