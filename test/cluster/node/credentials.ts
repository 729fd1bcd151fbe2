import { generateKeyPairSync } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Authority } from './authority.ts'
import { kubeconfig } from './kubeconfig.ts'
import { API_PORT, API_SERVICE, DOMAIN, NODE_NAME, type Settings } from './settings.ts'

const MASTERS = 'system:masters'
const API_NAMES = ['kubernetes', 'kubernetes.default', 'kubernetes.default.svc', `kubernetes.default.svc.${DOMAIN}`]

/** The Kubernetes users of the node's parts, each with its group. */
const USERS = [
  { file: 'controller-manager', name: 'system:kube-controller-manager' },
  { file: 'scheduler', name: 'system:kube-scheduler' },
  { file: 'proxy', name: 'system:kube-proxy' },
  { file: 'kubelet', name: `system:node:${NODE_NAME}`, group: 'system:nodes' },
]

/** Writes all keys, certificates and kubeconfigs of a new cluster below the node's folder; answers the administrator's. */
export async function makeCredentials(node: string, { subnet }: Settings): Promise<string> {
  const pki = join(node, 'pki')
  const cluster = await Authority.create(pki, 'ca')
  const apiHosts = [...API_NAMES, 'localhost', '127.0.0.1', API_SERVICE, subnet.node]
  await cluster.issue('apiserver', { name: 'kube-apiserver', hosts: apiHosts })
  await cluster.issue('apiserver-kubelet-client', { name: 'kube-apiserver', group: MASTERS })
  await cluster.issue('kubelet-server', { name: NODE_NAME, hosts: [NODE_NAME, subnet.node] })
  await cluster.issue('admin', { name: 'administrator', group: MASTERS })
  for (const { file, ...subject } of USERS) await cluster.issue(file, subject)
  await makeOthers(pki)
  await makeServiceAccountKey(pki)
  const folder = join(node, 'config', 'kubeconfig')
  await mkdir(folder, { recursive: true })
  for (const { file } of USERS) {
    await writeFile(join(folder, file), await kubeconfig(pki, file, `https://127.0.0.1:${API_PORT}`), { mode: 0o600 })
  }
  return kubeconfig(pki, 'admin', `https://${subnet.node}:${API_PORT}`)
}

/** Authorities of their own, so that a certificate for one of these opens nothing else. */
async function makeOthers(pki: string): Promise<void> {
  const etcd = await Authority.create(pki, 'etcd-ca')
  await etcd.issue('etcd', { name: 'etcd', hosts: ['localhost', '127.0.0.1'] })
  await etcd.issue('apiserver-etcd-client', { name: 'kube-apiserver' })
  const frontProxy = await Authority.create(pki, 'front-proxy-ca')
  await frontProxy.issue('front-proxy-client', { name: 'front-proxy-client' })
}

async function makeServiceAccountKey(pki: string): Promise<void> {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  await writeFile(join(pki, 'sa.key'), privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 })
  await writeFile(join(pki, 'sa.pub'), publicKey.export({ type: 'spki', format: 'pem' }))
}
