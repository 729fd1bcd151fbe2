import { hostname, userInfo } from 'node:os'

/** Who runs this, as `user@host`. In a container the user often has a number and no name. */
export function currentActor(): string {
  return `${userName() ?? process.getuid?.() ?? 'unknown'}@${hostname()}`
}

function userName(): string | undefined {
  try {
    return userInfo().username
  } catch {
    return undefined
  }
}
