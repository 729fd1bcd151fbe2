import { ConfigError } from '../config/problems.ts'

/** Opens a file that the configuration names; throws a ConfigError that names the variable where that fails. */
export function openFile<T>(variable: string, path: string, open: () => T): T {
  try {
    return open()
  } catch (error) {
    throw new ConfigError([`${variable}: the file '${path}' cannot be used: ${(error as Error).message}`])
  }
}
