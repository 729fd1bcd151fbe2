import type { AuthConfig } from '../config/auth.ts'
import { type Authenticator, type AuthLog, everybody } from './caller.ts'
import { openFile } from './open-file.ts'
import { StaticTokens } from './static-tokens.ts'

/**
 * Builds what AUTH asks for; rejects with a ConfigError where a file that it needs is missing or broken at the start.
 * `onKeysFailed` is told of each fetch of the cluster's keys that brought none.
 */
export async function createAuthenticator(
  config: AuthConfig,
  log: AuthLog,
  onKeysFailed?: (error: unknown) => void,
): Promise<Authenticator> {
  if (config.mode === 'none') return everybody
  if (config.mode === 'token') {
    return openFile('AUTH_TOKENS_FILE', config.tokensFile, () => new StaticTokens(config.tokensFile, log))
  }
  // Loaded only where it is needed: it takes some megabytes.
  const { createServiceAccounts } = await import('./kubernetes.ts')
  return createServiceAccounts(config, log, onKeysFailed)
}
