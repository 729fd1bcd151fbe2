import { DNS_SERVICE, DOMAIN, INSIDE, NODE_NAME, POD_RANGE, type Settings } from './settings.ts'

const CONFIG = `${INSIDE}/config`
const PKI = `${INSIDE}/pki`

/** The image that holds a pod's namespaces open. */
export const PAUSE_IMAGE = 'localhost/sonoma-cluster/pause:dev'

/** The configuration files of the node's parts, by their path below the folder `config`. */
export function configurationFiles(settings: Settings): Record<string, string> {
  return {
    'containerd.toml': containerd(settings),
    'kubelet.yaml': asJson(kubelet(settings)),
    'kube-proxy.yaml': asJson(kubeProxy()),
    'admission.yaml': asJson(admission()),
    'cni/10-bridge.conflist': asJson(network()),
    // Pods that use the node's own names get none: the cluster has no way out.
    'resolv.conf': '',
  }
}

function asJson(value: object): string {
  return `${JSON.stringify(value, null, 2)}\n`
}

// Without CAP_SYS_RESOURCE runc dies with "can't get final child's PID from pipe" where it lowers oom_score_adj.
function containerd({ mayRaise }: Settings): string {
  return `version = 3
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = [
  "io.containerd.snapshotter.v1.blockfile", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.erofs", "io.containerd.snapshotter.v1.zfs", "io.containerd.tracing.processor.v1.otlp",
  "io.containerd.internal.v1.tracing", "io.containerd.nri.v1.nri",
]

[grpc]
address = "/run/containerd/containerd.sock"

[plugins."io.containerd.cri.v1.images"]
snapshotter = "overlayfs"
[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "${PAUSE_IMAGE}"

[plugins."io.containerd.cri.v1.runtime"]
restrict_oom_score_adj = ${!mayRaise}
[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["/usr/lib/cni", "/opt/cni/bin"]
conf_dir = "${CONFIG}/cni"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
BinaryName = "${INSIDE}/bin/runc"
SystemdCgroup = false
`
}

function kubelet({ cgroup, subnet }: Settings): object {
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    address: subnet.node,
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: `${PKI}/ca.crt` },
    },
    authorization: { mode: 'Webhook' },
    tlsCertFile: `${PKI}/kubelet-server.crt`,
    tlsPrivateKeyFile: `${PKI}/kubelet-server.key`,
    containerRuntimeEndpoint: 'unix:///run/containerd/containerd.sock',
    clusterDNS: [DNS_SERVICE],
    clusterDomain: DOMAIN,
    resolvConf: `${CONFIG}/resolv.conf`,
    seccompDefault: true,
    podPidsLimit: 2_048,
    // Old machines still have version 1 of control groups, and swap.
    failCgroupV1: false,
    failSwapOn: false,
    cgroupDriver: 'cgroupfs',
    cgroupRoot: `/${cgroup}`,
    oomScoreAdj: 0,
    // An image that was imported cannot be pulled again.
    imageGCHighThresholdPercent: 100,
    evictionHard: { 'memory.available': '200Mi', 'nodefs.available': '1Gi', 'imagefs.available': '1Gi' },
    volumePluginDir: '/var/lib/kubelet/volume-plugins',
    readOnlyPort: 0,
  }
}

function kubeProxy(): object {
  return {
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    mode: 'iptables',
    clientConnection: { kubeconfig: `${CONFIG}/kubeconfig/proxy` },
    clusterCIDR: POD_RANGE,
    hostnameOverride: NODE_NAME,
    oomScoreAdj: 0,
    // These limits hold for the whole machine: zero leaves them as they are.
    conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: '0s', tcpCloseWaitTimeout: '0s' },
    iptables: { minSyncPeriod: '100ms' },
  }
}

/** Namespaces are restricted unless they say otherwise; those of the cluster itself are exempt. */
function admission(): object {
  const configuration = {
    apiVersion: 'pod-security.admission.config.k8s.io/v1',
    kind: 'PodSecurityConfiguration',
    defaults: { enforce: 'restricted', 'enforce-version': 'latest', warn: 'restricted', 'warn-version': 'latest' },
    exemptions: { namespaces: ['kube-system'] },
  }
  return {
    apiVersion: 'apiserver.config.k8s.io/v1',
    kind: 'AdmissionConfiguration',
    plugins: [{ name: 'PodSecurity', configuration }],
  }
}

function network(): object {
  const ipam = { type: 'host-local', ranges: [[{ subnet: POD_RANGE }]], routes: [{ dst: '0.0.0.0/0' }] }
  const bridge = { type: 'bridge', bridge: 'cni0', isGateway: true, ipMasq: true, hairpinMode: true, ipam }
  const portMapping = { type: 'portmap', capabilities: { portMappings: true }, snat: true }
  return { cniVersion: '1.0.0', name: 'bridge', plugins: [bridge, portMapping] }
}
