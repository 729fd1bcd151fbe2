import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { run } from '../../image/command.ts'
import { binaryPath, buildParts } from '../build/build.ts'
import { part } from '../build/parts.ts'
import { activeKubeconfig, kubectl, tryKubectl } from '../kubectl.ts'
import { foreignKubeconfig } from '../place.ts'
import { Client } from './client.ts'
import { Namespace } from './namespace.ts'

/** Traffic from one pod to a port of another; pods by namespace and name. */
export type Flow = { from: Peer; to: Peer; port: number }
export type Peer = { namespace: string; pod: string }
/** `judged`: what the policies say; `tried`: what a real connection did, where the network enforces policies. */
export type Verdict = { flow: Flow; judged: boolean; tried: boolean | undefined }

type Pod = {
  metadata: { labels: Record<string, string> }
  status: { podIP: string }
  spec: { containers: { ports?: { name?: string; containerPort: number }[] }[] }
}

const CONNECT_SECONDS = 3

/**
 * Tells for each flow whether the NetworkPolicies of the namespaces allow it. cyclonus judges that from the real objects;
 * where the cluster's network enforces policies each flow is tried as well. The output says which it was.
 */
export async function checkFlows(flows: Flow[]): Promise<Verdict[]> {
  const judged = await judge(flows)
  const enforced = await arePoliciesEnforced()
  const how = enforced
    ? 'judged by cyclonus, and tried'
    : 'judged by cyclonus, not enforced: this network enforces no policy'
  console.log(`${flows.length} flows were ${how}.`)
  const tried = enforced ? await Promise.all(flows.map(connects)) : []
  return flows.map((flow, index) => ({ flow, judged: judged[index] === true, tried: tried[index] }))
}

async function judge(flows: Flow[]): Promise<boolean[]> {
  await buildParts([part('cyclonus')], console.log)
  const folder = await mkdtemp(join(tmpdir(), 'sonoma-flows-'))
  const file = join(folder, 'traffic.json')
  const spaces = new Set(flows.flatMap(({ from, to }) => [from.namespace, to.namespace]))
  try {
    await writeFile(file, JSON.stringify(await Promise.all(flows.map(toTraffic))))
    const of = [...spaces].flatMap((space) => ['--namespace', space])
    const args = ['analyze', '--mode', 'query-traffic', '--traffic-path', file, ...of]
    const env = { ...process.env, KUBECONFIG: activeKubeconfig() }
    const said = await run(binaryPath(part('cyclonus')), args, { env })
    return [...said.matchAll(/IS ALLOWED\?\s*\|\s*(TRUE|FALSE)/g)].map(([, answer]) => answer === 'TRUE')
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** A flow as cyclonus reads it. */
async function toTraffic({ from, to, port }: Flow): Promise<object> {
  const [source, destination] = [await toPeer(from), await toPeer(to)]
  const { pod } = destination
  const named = pod.spec.containers
    .flatMap(({ ports = [] }) => ports)
    .find(({ containerPort }) => containerPort === port)
  return {
    Source: source.peer,
    Destination: destination.peer,
    Protocol: 'TCP',
    ResolvedPort: port,
    ResolvedPortName: named?.name ?? '',
  }
}

async function toPeer({ namespace, pod: name }: Peer): Promise<{ peer: object; pod: Pod }> {
  const pod = JSON.parse(await kubectl(['get', 'pod', name, '-n', namespace, '-o', 'json'])) as Pod
  const space = JSON.parse(await kubectl(['get', 'namespace', namespace, '-o', 'json'])) as Pod
  const internal = { PodLabels: pod.metadata.labels, NamespaceLabels: space.metadata.labels, Namespace: namespace }
  return { peer: { Internal: internal, IP: pod.status.podIP }, pod }
}

async function connects({ from, to, port }: Flow): Promise<boolean> {
  const { pod } = await toPeer(to)
  const script = `exec 3<>/dev/tcp/${pod.status.podIP}/${port}`
  const command = ['timeout', `${CONNECT_SECONDS}`, 'bash', '-c', script]
  return (await tryKubectl(['exec', '-n', from.namespace, from.pod, '--', ...command])).code === 0
}

let known: Promise<boolean> | undefined

/** Whether the cluster's network enforces policies; ours does not, another is tried with a policy that forbids everything. */
export function arePoliciesEnforced(): Promise<boolean> {
  known ??= foreignKubeconfig() ? tryEnforcement() : Promise.resolve(false)
  return known
}

async function tryEnforcement(): Promise<boolean> {
  const space = new Namespace(`enforced-${randomBytes(3).toString('hex')}`)
  await space.create()
  try {
    const client = await Client.start(space)
    const spec = { podSelector: {}, policyTypes: ['Egress'] }
    await space.apply({ apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: { name: 'none' }, spec })
    const { status } = await client.fetch('https://kubernetes.default.svc/version', { token: false, timeoutMs: 5_000 })
    return status === 0
  } finally {
    await space.remove()
  }
}
