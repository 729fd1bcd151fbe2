/** The upstream programs. Their versions stand in the go.mod of their folder under test/cluster/parts, and nowhere else. */
export type Part = {
  /** The name of the file that is made. */
  name: string
  /** The folder under test/cluster/parts. */
  module: string
  /** The Go package. */
  main: string
  /** Some need C, and then these build tags. */
  cgoTags?: string
  /** The linker sets the version of Kubernetes: its default is v0.0.0, and node and API server refuse each other as too far apart. */
  versioned?: boolean
}

/** The module whose version a `versioned` part gets. */
export const KUBERNETES = 'k8s.io/kubernetes'

const CONTAINERD = 'github.com/containerd/containerd/v2'
const PROMETHEUS_OPERATOR = 'github.com/prometheus-operator/prometheus-operator'

/** What a node is made of, the slowest last so that a missing tool shows early. */
export const NODE_PARTS: Part[] = [
  { name: 'runc', module: 'runc', main: 'github.com/opencontainers/runc', cgoTags: 'seccomp' },
  { name: 'pause', module: 'pause', main: '.' },
  { name: 'etcd', module: 'etcd', main: 'go.etcd.io/etcd/server/v3' },
  { name: 'containerd', module: 'containerd', main: `${CONTAINERD}/cmd/containerd` },
  { name: 'containerd-shim-runc-v2', module: 'containerd', main: `${CONTAINERD}/cmd/containerd-shim-runc-v2` },
  { name: 'ctr', module: 'containerd', main: `${CONTAINERD}/cmd/ctr` },
  { name: 'coredns', module: 'coredns', main: 'github.com/coredns/coredns' },
  {
    name: 'local-path-provisioner',
    module: 'local-path-provisioner',
    main: 'github.com/rancher/local-path-provisioner',
  },
  kubernetes('kubectl'),
  kubernetes('kube-proxy'),
  kubernetes('kube-scheduler'),
  kubernetes('kubelet'),
  kubernetes('kube-controller-manager'),
  kubernetes('kube-apiserver'),
]

/** What not every test needs; built at first use. */
export const OPTIONAL_PARTS: Part[] = [
  { name: 'helm', module: 'helm', main: 'helm.sh/helm/v4/cmd/helm' },
  { name: 'cyclonus', module: 'cyclonus', main: 'github.com/mattfenwick/cyclonus/cmd/cyclonus' },
  { name: 'metrics-server', module: 'metrics-server', main: 'sigs.k8s.io/metrics-server/cmd/metrics-server' },
  { name: 'versitygw', module: 'versitygw', main: 'github.com/versity/versitygw/cmd/versitygw' },
  { name: 'prometheus-operator', module: 'prometheus-operator', main: `${PROMETHEUS_OPERATOR}/cmd/operator` },
  {
    name: 'prometheus-config-reloader',
    module: 'prometheus-operator',
    main: `${PROMETHEUS_OPERATOR}/cmd/prometheus-config-reloader`,
  },
  { name: 'prometheus', module: 'prometheus', main: 'github.com/prometheus/prometheus/cmd/prometheus' },
]

/** Finds a part by its name. */
export function part(name: string): Part {
  const found = [...NODE_PARTS, ...OPTIONAL_PARTS].find((candidate) => candidate.name === name)
  if (!found) throw new Error(`There is no part called '${name}'.`)
  return found
}

function kubernetes(name: string): Part {
  return { name, module: 'kubernetes', main: `${KUBERNETES}/cmd/${name}`, versioned: true }
}
