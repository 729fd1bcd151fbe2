import { API_PORT, INSIDE, ISSUER, NODE_NAME, POD_RANGE, SERVICE_RANGE, type Settings } from './settings.ts'

const CONFIG = `${INSIDE}/config`
const PKI = `${INSIDE}/pki`
const ETCD = 'https://127.0.0.1:2379'

type Flags = Record<string, string>

/** A script for each part of the node that becomes its program, by the part's name. */
export function startScripts(settings: Settings): Record<string, string> {
  const flags: Record<string, Flags> = {
    etcd: etcd(),
    containerd: { config: `${CONFIG}/containerd.toml` },
    'kube-apiserver': { ...apiServer(settings), ...serviceAccounts(), ...aggregation() },
    'kube-controller-manager': controllerManager(),
    'kube-scheduler': scheduler(),
    kubelet: kubelet(settings),
    'kube-proxy': { config: `${CONFIG}/kube-proxy.yaml` },
  }
  return Object.fromEntries(Object.entries(flags).map(([name, of]) => [name, script(name, of)]))
}

function script(name: string, flags: Flags): string {
  const lines = Object.entries(flags).map(([flag, value]) => ` \\\n  '--${flag}=${value}'`)
  // The shim and runc are found by name.
  return `#!/bin/sh\nexport PATH=${INSIDE}/bin:$PATH\nexec ${INSIDE}/bin/${name}${lines.join('')}\n`
}

function etcd(): Flags {
  return {
    name: NODE_NAME,
    'data-dir': '/var/lib/etcd',
    'listen-client-urls': ETCD,
    'advertise-client-urls': ETCD,
    'listen-peer-urls': 'http://127.0.0.1:2380',
    'client-cert-auth': 'true',
    'trusted-ca-file': `${PKI}/etcd-ca.crt`,
    'cert-file': `${PKI}/etcd.crt`,
    'key-file': `${PKI}/etcd.key`,
    // The disk is shared with whatever is tested; a node that loses power is made anew.
    'unsafe-no-fsync': 'true',
  }
}

function apiServer({ subnet }: Settings): Flags {
  return {
    'advertise-address': subnet.node,
    'secure-port': `${API_PORT}`,
    'allow-privileged': 'true',
    'anonymous-auth': 'false',
    'authorization-mode': 'Node,RBAC',
    'enable-admission-plugins': 'NodeRestriction',
    'admission-control-config-file': `${CONFIG}/admission.yaml`,
    'client-ca-file': `${PKI}/ca.crt`,
    'tls-cert-file': `${PKI}/apiserver.crt`,
    'tls-private-key-file': `${PKI}/apiserver.key`,
    'etcd-servers': ETCD,
    'etcd-cafile': `${PKI}/etcd-ca.crt`,
    'etcd-certfile': `${PKI}/apiserver-etcd-client.crt`,
    'etcd-keyfile': `${PKI}/apiserver-etcd-client.key`,
    'kubelet-certificate-authority': `${PKI}/ca.crt`,
    'kubelet-client-certificate': `${PKI}/apiserver-kubelet-client.crt`,
    'kubelet-client-key': `${PKI}/apiserver-kubelet-client.key`,
    'kubelet-preferred-address-types': 'InternalIP',
    'service-cluster-ip-range': SERVICE_RANGE,
    profiling: 'false',
  }
}

function serviceAccounts(): Flags {
  return {
    'service-account-issuer': ISSUER,
    'service-account-key-file': `${PKI}/sa.pub`,
    'service-account-signing-key-file': `${PKI}/sa.key`,
  }
}

function aggregation(): Flags {
  return {
    'proxy-client-cert-file': `${PKI}/front-proxy-client.crt`,
    'proxy-client-key-file': `${PKI}/front-proxy-client.key`,
    'requestheader-client-ca-file': `${PKI}/front-proxy-ca.crt`,
    'requestheader-allowed-names': 'front-proxy-client',
    'requestheader-extra-headers-prefix': 'X-Remote-Extra-',
    'requestheader-group-headers': 'X-Remote-Group',
    'requestheader-username-headers': 'X-Remote-User',
  }
}

function controllerManager(): Flags {
  return {
    ...delegated('controller-manager'),
    'cluster-cidr': POD_RANGE,
    'cluster-signing-cert-file': `${PKI}/ca.crt`,
    'cluster-signing-key-file': `${PKI}/ca.key`,
    'root-ca-file': `${PKI}/ca.crt`,
    'service-account-private-key-file': `${PKI}/sa.key`,
    'use-service-account-credentials': 'true',
    'leader-elect': 'false',
  }
}

function scheduler(): Flags {
  return { ...delegated('scheduler'), 'leader-elect': 'false' }
}

/** Who may read their metrics is asked of the API server. */
function delegated(user: string): Flags {
  const config = `${CONFIG}/kubeconfig/${user}`
  return {
    kubeconfig: config,
    'authentication-kubeconfig': config,
    'authorization-kubeconfig': config,
    'bind-address': '127.0.0.1',
    profiling: 'false',
  }
}

function kubelet({ subnet }: Settings): Flags {
  return {
    config: `${CONFIG}/kubelet.yaml`,
    kubeconfig: `${CONFIG}/kubeconfig/kubelet`,
    'hostname-override': NODE_NAME,
    'node-ip': subnet.node,
  }
}
