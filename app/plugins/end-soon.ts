import type { Readable } from 'node:stream'

/** For an answer to reach its caller: closing a connection that has unread data resets it, and a reset may overtake the answer. */
const ENDING_MS = 500

/** Ends a connection after its last answer if the peer does not: whoever reads nothing does not notice that it has gone. */
export function endSoon(connection: Readable): void {
  const timer = setTimeout(() => connection.destroy(), ENDING_MS)
  connection.once('close', () => clearTimeout(timer))
}
