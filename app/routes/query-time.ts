import { Problem } from '../errors.ts'
import { checkOptionalTime, isItemError } from '../store/check.ts'

/** The time of a query parameter, as the store takes it; `invalid_query` for what is none. */
export function queryTime(name: string, value: string | undefined): string | undefined {
  const time = checkOptionalTime(value, name)
  if (isItemError(time)) throw new Problem('invalid_query', time.message)
  return time ?? undefined
}
