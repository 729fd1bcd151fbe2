import type { StorageInstance } from '../../api/storage-instance.ts'
import { directSecret, secretEnv, serviceSecret } from '../database/access.ts'
import { ALLOW_FILE } from './allow-list.ts'

export const ALLOW_FOLDER = '/etc/sonoma-storage/allow'
export const TOKENS_FOLDER = '/etc/sonoma-storage/tokens'

/** The environment of the service, as the spec says it. Secrets are referred to, never written out. */
export function apiEnvironment(instance: StorageInstance): object[] {
  const { api, migrations } = instance.spec
  const direct = directSecret(instance)
  const plain = {
    MAX_POOL_SIZE: `${api.poolSize}`,
    QUEUE_BATCH_SIZE: `${api.queueBatchSize}`,
    LOG_LEVEL: api.logLevel,
    SCHEMA_CHECK_INTERVAL: migrations.driftCheckInterval,
    ...authentication(instance),
  }
  return [
    secretEnv('DATABASE_URL', serviceSecret(instance)),
    ...(direct ? [secretEnv('DATABASE_DIRECT_URL', direct)] : []),
    ...Object.entries(plain).map(([name, value]) => ({ name, value })),
  ]
}

function authentication(instance: StorageInstance): Record<string, string> {
  const { auth } = instance.spec.api
  switch (auth.mode) {
    case 'Kubernetes':
      return { AUTH: 'kubernetes', AUTH_ALLOW: `${ALLOW_FOLDER}/${ALLOW_FILE}` }
    case 'Token':
      return { AUTH: 'token', AUTH_TOKENS_FILE: `${TOKENS_FOLDER}/${auth.tokensSecretRef?.key ?? 'tokens'}` }
    case 'None':
      return { AUTH: 'none', AUTH_NONE_CONFIRM: 'yes' }
  }
}
