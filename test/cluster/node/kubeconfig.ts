import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** A kubeconfig in JSON, which is YAML too, with the credentials of `user` from the folder `pki` written into it. */
export async function kubeconfig(pki: string, user: string, server: string): Promise<string> {
  const base64 = (file: string) => readFile(join(pki, file), 'base64')
  const cluster = { server, 'certificate-authority-data': await base64('ca.crt') }
  const credentials = {
    'client-certificate-data': await base64(`${user}.crt`),
    'client-key-data': await base64(`${user}.key`),
  }
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'sonoma', cluster }],
    users: [{ name: user, user: credentials }],
    contexts: [{ name: 'sonoma', context: { cluster: 'sonoma', user } }],
    'current-context': 'sonoma',
  }
  return `${JSON.stringify(config, null, 2)}\n`
}
