import { createHash, timingSafeEqual } from 'node:crypto'
import { ACCESS_LEVELS, type Access } from '../contract.ts'
import { type Authenticator, type AuthLog, bearerToken, type Caller, unauthorized } from './caller.ts'
import { WatchedFile } from './watched-file.ts'

type StaticToken = { digest: Buffer; caller: Caller }

const MIN_LENGTH = 16

/** For AUTH=token: tokens from a file, each with a level. Only digests are kept in memory. */
export class StaticTokens implements Authenticator {
  readonly #file: WatchedFile<StaticToken[]>

  /** Throws where the file is missing or broken. */
  constructor(path: string, log: AuthLog, now?: () => number) {
    this.#file = new WatchedFile({ path, parse: parseTokens, log, now })
  }

  authenticate(authorization: string | undefined): Caller {
    const digest = digestOf(bearerToken(authorization))
    let found: Caller | undefined
    // Every token is compared, so that the time tells nothing about which one matched, or how far.
    for (const token of this.#file.current()) {
      if (timingSafeEqual(token.digest, digest)) found = token.caller
    }
    if (!found) throw unauthorized('The token is not known.')
    return found
  }
}

/**
 * Reads `level token name` lines; the name is optional, and empty lines and those that begin with # are skipped. Errors name
 * the line, never what is in it.
 */
export function parseTokens(text: string): StaticToken[] {
  const lines = text.split('\n').map((line, index) => ({ line: line.trim(), number: index + 1 }))
  const tokens = lines
    .filter(({ line }) => line !== '' && !line.startsWith('#'))
    .map(({ line, number }) => parseLine(line, number))
  if (tokens.length === 0) throw new Error('it holds no token')
  return tokens
}

function parseLine(line: string, number: number): StaticToken {
  const [level = '', token = '', name = `token of line ${number}`, ...rest] = line.split(/\s+/)
  const access = ACCESS_LEVELS.find((known) => known.toLowerCase() === level.toLowerCase())
  if (!access) throw new Error(`line ${number} does not begin with ${ACCESS_LEVELS.join(', ')}`)
  if (!/^[\w.~+/=-]+$/.test(token) || token.length < MIN_LENGTH) {
    throw new Error(`line ${number} has no token of at least ${MIN_LENGTH} characters (letters, digits, . _ ~ + / = -)`)
  }
  if (rest.length > 0) throw new Error(`line ${number} has more than a level, a token and a name`)
  return { digest: digestOf(token), caller: { name, access: access satisfies Access } }
}

function digestOf(token: string): Buffer {
  return createHash('sha256').update(token).digest()
}
