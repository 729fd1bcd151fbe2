import type { AuthConfig } from '../config/auth.ts'
import { type AllowList, AllowListReader } from './allow-list.ts'
import type { AuthLog } from './caller.ts'
import { fetchKeys } from './fetch-keys.ts'
import { KeySet } from './key-set.ts'
import { openFile } from './open-file.ts'
import { issuerOf, ServiceAccounts } from './service-accounts.ts'
import { WatchedFile } from './watched-file.ts'

type KubernetesConfig = Extract<AuthConfig, { mode: 'kubernetes' }>

/**
 * For AUTH=kubernetes: checks tokens with what is mounted into the pod, read again when it changes. `onFailure` is told of
 * each fetch of keys that brought none.
 */
export function createServiceAccounts(
  config: KubernetesConfig,
  log: AuthLog,
  onFailure?: (error: unknown) => void,
): ServiceAccounts {
  const file = <T>(variable: string, path: string, parse: (text: string) => T) => {
    const watched = openFile(variable, path, () => new WatchedFile({ path, parse, log }))
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
  const lists = new AllowListReader(log)
  const withoutFile: AllowList = 'own namespace'
  return new ServiceAccounts({
    keys: new KeySet({ fetch: () => fetchKeys(source), log, onFailure }),
    issuer: issuer === undefined ? file('AUTH_ISSUER', config.ownTokenFile, issuerOf) : () => issuer,
    allowList: allowFile === undefined ? () => withoutFile : file('AUTH_ALLOW', allowFile, (list) => lists.read(list)),
    namespace: namespace === undefined ? file('POD_NAMESPACE', config.namespaceFile, text) : () => namespace,
  })
}
