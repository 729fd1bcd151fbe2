import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { HTTP_PORT } from '../../../app/contract.ts'
import { run } from '../../image/command.ts'
import { eventually } from '../../support/eventually.ts'
import { binaryPath, buildParts } from '../build/build.ts'
import { part } from '../build/parts.ts'
import { activeKubeconfig, kubectl, tryKubectl } from '../kubectl.ts'
import { foreignKubeconfig } from '../place.ts'
import { Client } from './client.ts'
import { Namespace } from './namespace.ts'

/** Traffic from a pod to a port of another one, or of an address that is no pod's; pods by namespace and name. */
export type Flow = { from: Peer; to: Peer | { address: string }; port: number }
export type Peer = { namespace: string; pod: string }
/**
 * `judged`: what the policies say; `tried`: what a real connection did, where the network enforces policies and the pod still
 * runs that it comes from.
 */
export type Verdict = { flow: Flow; judged: boolean; tried: boolean | undefined }

type Pod = {
  metadata: { labels: Record<string, string> }
  status: { podIP: string; phase: string }
  spec: { containers: { ports?: { name?: string; containerPort: number }[] }[] }
}

const CONNECT_SECONDS = 3
/** How long a network may take until a new policy holds. */
const ENFORCED_WITHIN_MS = 20_000

/**
 * Tells for each flow whether the NetworkPolicies of the namespaces allow it. cyclonus judges that from the real objects;
 * where the cluster's network enforces policies each flow is tried as well. The output says which it was.
 */
export async function checkFlows(flows: Flow[]): Promise<Verdict[]> {
  const judged = await judge(flows)
  const enforced = await arePoliciesEnforced()
  const how = enforced
    ? 'judged by cyclonus, and tried'
    : 'judged by cyclonus only: the network of this cluster does not enforce NetworkPolicy'
  console.log(`${flows.length} flows were ${how}.`)
  const tried = enforced ? await Promise.all(flows.map(connects)) : []
  return flows.map((flow, index) => ({ flow, judged: judged[index] === true, tried: tried[index] }))
}

async function judge(flows: Flow[]): Promise<boolean[]> {
  await buildParts([part('cyclonus')], console.log)
  const folder = await mkdtemp(join(tmpdir(), 'sonoma-flows-'))
  const file = join(folder, 'traffic.json')
  const spaces = new Set(
    flows.flatMap(({ from, to }) => ('pod' in to ? [from.namespace, to.namespace] : from.namespace)),
  )
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
  const [source, destination] = [await toPeer(from), 'pod' in to ? await toPeer(to) : { peer: { IP: to.address } }]
  const ports = 'pod' in destination ? destination.pod.spec.containers.flatMap(({ ports = [] }) => ports) : []
  const named = ports.find(({ containerPort }) => containerPort === port)
  return {
    Source: source.peer,
    Destination: destination.peer,
    Protocol: 'TCP',
    ResolvedPort: port,
    ResolvedPortName: named?.name ?? '',
  }
}

async function toPeer({ namespace, pod: name }: Peer): Promise<{ peer: object; pod: Pod }> {
  const pod = await getPod({ namespace, pod: name })
  const space = JSON.parse(await kubectl(['get', 'namespace', namespace, '-o', 'json'])) as Pod
  const internal = { PodLabels: pod.metadata.labels, NamespaceLabels: space.metadata.labels, Namespace: namespace }
  return { peer: { Internal: internal, IP: pod.status.podIP }, pod }
}

async function getPod({ namespace, pod }: Peer): Promise<Pod> {
  return JSON.parse(await kubectl(['get', 'pod', pod, '-n', namespace, '-o', 'json'])) as Pod
}

async function connects({ from, to, port }: Flow): Promise<boolean | undefined> {
  if ((await getPod(from)).status.phase !== 'Running') return undefined
  const address = 'pod' in to ? (await getPod(to)).status.podIP : to.address
  const command = ['timeout', `${CONNECT_SECONDS}`, 'bash', '-c', `exec 3<>/dev/tcp/${address}/${port}`]
  return (await tryKubectl(['exec', '-n', from.namespace, from.pod, '--', ...command])).code === 0
}

let known: Promise<boolean> | undefined

/** Whether the cluster's network enforces policies; ours does not, another is tried with a policy that forbids everything. */
export function arePoliciesEnforced(): Promise<boolean> {
  known ??= foreignKubeconfig() ? tryEnforcement() : Promise.resolve(false)
  return known
}

/** One pod calls another, first without a policy: an end that never answered would look like a policy that holds. */
async function tryEnforcement(): Promise<boolean> {
  const space = new Namespace(`enforced-${randomBytes(3).toString('hex')}`)
  await space.create()
  try {
    const [client] = await Promise.all([Client.start(space, 'one'), Client.start(space, 'other')])
    const address = (await getPod({ namespace: space.name, pod: await space.pod('app=other') })).status.podIP
    const url = `http://${address}:${HTTP_PORT}`
    const answers = async () => (await client.fetch(url, { token: false, timeoutMs: 2_000 })).status === 200
    await eventually(answers)
    const spec = { podSelector: {}, policyTypes: ['Ingress'] }
    await space.apply({ apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: { name: 'none' }, spec })
    // Twice: a busy machine may miss one answer.
    const isCut = async () => !(await answers()) && !(await answers())
    return await eventually(isCut, { timeoutMs: ENFORCED_WITHIN_MS, intervalMs: 500 }).catch(() => false)
  } finally {
    await space.remove()
  }
}
