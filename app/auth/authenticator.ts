import type { AuthConfig } from '../config-auth.ts'
import { ConfigError } from '../config-problems.ts'
import { type AllowList, parseAllowList } from './allow-list.ts'
import { type Authenticator, type AuthLog, everybody } from './caller.ts'
import { fetchKeys } from './fetch-keys.ts'
import { KeySet } from './key-set.ts'
import { issuerOf, ServiceAccounts } from './service-accounts.ts'
import { StaticTokens } from './static-tokens.ts'
import { WatchedFile } from './watched-file.ts'

type KubernetesConfig = Extract<AuthConfig, { mode: 'kubernetes' }>

/** Builds what AUTH asks for; throws a ConfigError where a file that it needs is missing or broken at the start. */
export function createAuthenticator(config: AuthConfig, log: AuthLog): Authenticator {
  if (config.mode === 'none') return everybody
  if (config.mode === 'token') {
    return naming('AUTH_TOKENS_FILE', config.tokensFile, () => new StaticTokens(config.tokensFile, log))
  }
  return kubernetes(config, log)
}

function kubernetes(config: KubernetesConfig, log: AuthLog): Authenticator {
  const file = <T>(variable: string, path: string, parse: (text: string) => T) => {
    const watched = naming(variable, path, () => new WatchedFile({ path, parse, log }))
    return () => watched.current()
  }
  const text = (content: string) => content.trim()
  const ifSet = (variable: string, path: string | undefined) =>
    path === undefined ? () => undefined : file(variable, path, text)
  const source = {
    url: config.jwksUrl,
    ca: ifSet('AUTH_JWKS_CA_FILE', config.caFile),
    bearer: ifSet('AUTH_JWKS_TOKEN_FILE', config.bearerFile),
  }
  const { issuer, namespace, allowFile } = config
  const nobody: AllowList = []
  return new ServiceAccounts({
    keys: new KeySet({ fetch: () => fetchKeys(source), log }),
    issuer: issuer === undefined ? file('AUTH_ISSUER', config.ownTokenFile, issuerOf) : () => issuer,
    allowList: allowFile === undefined ? () => nobody : file('AUTH_ALLOW', allowFile, parseAllowList),
    namespace: namespace === undefined ? file('POD_NAMESPACE', config.namespaceFile, text) : () => namespace,
  })
}

function naming<T>(variable: string, path: string, open: () => T): T {
  try {
    return open()
  } catch (error) {
    throw new ConfigError([`${variable}: the file '${path}' cannot be used: ${(error as Error).message}`])
  }
}
