import { BlockList, isIP } from 'node:net'
import { VARIABLES, type Values } from './variables.ts'

/** How callers prove who they are. */
export type AuthConfig =
  | { mode: 'none' }
  | { mode: 'token'; tokensFile: string }
  | {
      mode: 'kubernetes'
      jwksUrl: string
      /** Undefined: the public certificate authorities. */
      caFile: string | undefined
      /** Undefined: the keys are fetched without a credential. */
      bearerFile: string | undefined
      /** Undefined: the issuer of the pod's own token, in `ownTokenFile`. */
      issuer: string | undefined
      ownTokenFile: string
      /** Undefined: every account of the own namespace, with Write. */
      allowFile: string | undefined
      /** Undefined: what is written in `namespaceFile`. */
      namespace: string | undefined
      namespaceFile: string
    }

type AuthContext = { inCluster: boolean; host: string; problems: string[] }

/** Decides how callers prove who they are; notes in `context.problems` what is missing or not safe. */
export function authConfig(values: Values, context: AuthContext): AuthConfig {
  const mode = values.AUTH ?? (context.inCluster ? 'kubernetes' : undefined)
  if (mode === 'kubernetes') return kubernetesAuth(values, context.problems)
  if (mode === 'token') return tokenAuth(values, context.problems)
  if (mode === 'none') checkNone(values, context)
  else if (!context.problems.some((problem) => problem.startsWith('AUTH:'))) {
    context.problems.push(
      `AUTH: not set outside a cluster; allowed is ${VARIABLES.AUTH.kind.allowed} (on a machine of your own: AUTH=none)`,
    )
  }
  return { mode: 'none' }
}

function checkNone(values: Values, { host, problems }: AuthContext): void {
  if (isLoopback(host) || values.AUTH_NONE_CONFIRM === 'yes') return
  problems.push(
    `AUTH: 'none' is not allowed while HOST is '${host}', which is not a loopback address; ` +
      'allowed is another AUTH, HOST=127.0.0.1, or AUTH_NONE_CONFIRM=yes to let everybody in',
  )
}

function tokenAuth(values: Values, problems: string[]): AuthConfig {
  if (values.AUTH_TOKENS_FILE === undefined) {
    problems.push('AUTH_TOKENS_FILE: not set; AUTH=token needs the path of the file that holds the tokens')
  }
  return { mode: 'token', tokensFile: values.AUTH_TOKENS_FILE ?? '' }
}

const CLUSTER_JWKS_URL = 'https://kubernetes.default.svc/openid/v1/jwks'

function kubernetesAuth(values: Values, problems: string[]): AuthConfig {
  const folder = values.SERVICE_ACCOUNT_DIR
  const jwksUrl = values.AUTH_JWKS_URL ?? CLUSTER_JWKS_URL
  // The pod's own token is a credential of the API server: it goes nowhere else unless that is said.
  const mounted = jwksUrl === CLUSTER_JWKS_URL
  const bearerFile = values.AUTH_JWKS_TOKEN_FILE ?? (mounted ? `${folder}/token` : undefined)
  const url = new URL(jwksUrl)
  if (url.protocol === 'http:' && !isLoopback(url.hostname)) {
    problems.push(`AUTH_JWKS_URL: '${url.origin}' is not allowed; allowed is https, or http on a loopback host`)
  }
  return {
    mode: 'kubernetes',
    jwksUrl,
    caFile: values.AUTH_JWKS_CA_FILE ?? (mounted ? `${folder}/ca.crt` : undefined),
    bearerFile,
    issuer: values.AUTH_ISSUER,
    ownTokenFile: `${folder}/token`,
    allowFile: values.AUTH_ALLOW,
    namespace: values.POD_NAMESPACE,
    namespaceFile: `${folder}/namespace`,
  }
}

const LOOPBACK = new BlockList()
LOOPBACK.addSubnet('127.0.0.0', 8)
LOOPBACK.addAddress('::1', 'ipv6')

/** Whether only this machine can reach a host; an IPv6 address may be in brackets. */
export function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, '')
  const version = isIP(bare)
  if (version === 0) return bare.toLowerCase() === 'localhost'
  return LOOPBACK.check(bare, version === 6 ? 'ipv6' : 'ipv4')
}
