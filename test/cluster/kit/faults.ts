import { kubectl } from '../kubectl.ts'
import type { Namespace } from './namespace.ts'
import { nodeNames, onNode } from './on-node.ts'

/** Ends a fault. */
export type Heal = () => Promise<void>

/** Programs of the cluster that can be hurt, by the name of their process. */
export type Program =
  | 'kubelet'
  | 'kube-apiserver'
  | 'etcd'
  | 'containerd'
  | 'kube-scheduler'
  | 'kube-controller-manager'

type Pod = {
  spec: { nodeName: string; containers: { name: string }[] }
  status: { containerStatuses: { name: string; containerID: string }[] }
}

/** kill -9 of the first process of a pod's container, seen from outside: nothing in the pod can hinder it. */
export async function killPod(namespace: Namespace, pod: string, container?: string): Promise<void> {
  const { node, id } = await locate(namespace, pod, container)
  await onNode(node, `kill -9 $(${firstProcess(id)})`)
}

/** SIGSTOP to every process of a pod's container: it hangs, its connections stay open. */
export async function freezePod(namespace: Namespace, pod: string, container?: string): Promise<Heal> {
  const { node, id } = await locate(namespace, pod, container)
  await onNode(node, `kill -STOP $(${processes(id)})`)
  return async () => {
    await onNode(node, `kill -CONT $(${processes(id)})`)
  }
}

/** Drops every packet to and from a pod, as a broken switch would; what was connected hears nothing. */
export async function cutNetwork(namespace: Namespace, pod: string): Promise<Heal> {
  const { node, id } = await locate(namespace, pod)
  const each = (action: string) =>
    ['INPUT ! -i lo', 'OUTPUT ! -o lo'].map((rule) => `$in iptables -w ${action} ${rule} -j DROP`).join('\n')
  const enter = `set -e\nin="nsenter --target $(${firstProcess(id)}) --net"`
  await onNode(node, `${enter}\n${each('-I')}`)
  return async () => {
    await onNode(node, `${enter}\n${each('-D')}`)
  }
}

/** Fills the volume at a path of a pod until nothing more fits (use the storage class `loop`); healing frees it. */
export async function fillVolume(namespace: Namespace, pod: string, path: string): Promise<Heal> {
  const filler = `${path}/filler`
  // The small blocks take what the large ones leave.
  const write = ['1M', '4k'].map(
    (size) => `dd if=/dev/zero of=${filler} bs=${size} oflag=append conv=notrunc 2>/dev/null`,
  )
  await namespace.exec(pod, ['sh', '-c', `${write.join('; ')}; true`])
  return async () => {
    await namespace.exec(pod, ['rm', '-f', filler])
  }
}

/** kill -9 of a program of the cluster; it is started again as its cluster starts it. */
export async function killProgram(program: Program): Promise<void> {
  await signalProgram(program, 'KILL')
}

/** SIGSTOP to a program of the cluster. */
export async function freezeProgram(program: Program): Promise<Heal> {
  await signalProgram(program, 'STOP')
  return () => signalProgram(program, 'CONT')
}

/**
 * Nobody reaches the API server for so long: its port refuses new connections and resets those that are there. It heals by
 * itself, since nothing can be told to a node of a given cluster meanwhile.
 */
export async function closeApiServer(seconds: number): Promise<void> {
  const port = (await kubectl(['get', 'endpointslices', 'kubernetes', '-o', 'jsonpath={.ports[0].port}'])).trim()
  const rule = `INPUT -p tcp --dport ${port} -j REJECT --reject-with tcp-reset`
  // The first second is for the answer to this very command.
  const script = `sleep 1; iptables -w -I ${rule}; sleep ${seconds}; iptables -w -D ${rule}`
  const nodes = await nodeNames()
  await Promise.all(nodes.map((node) => onNode(node, `setsid sh -c '${script}' </dev/null >/dev/null 2>&1 &`)))
}

async function signalProgram(program: Program, signal: string): Promise<void> {
  // The kernel cuts names after 15 characters.
  const name = program.slice(0, 15)
  const script = `for process in /proc/[0-9]*; do
    [ "$(cat $process/comm 2>/dev/null)" = ${name} ] || continue
    kill -${signal} \${process#/proc/} && echo hit
  done; true`
  // Only asked where there can be several: the API server may be what is frozen.
  const nodes = await nodeNames().catch(() => ['node'])
  const said = await Promise.all(nodes.map((node) => onNode(node, script)))
  if (!said.some((line) => line.includes('hit'))) throw new Error(`${program} runs on no node that can be reached.`)
}

async function locate(namespace: Namespace, pod: string, container?: string): Promise<{ node: string; id: string }> {
  const { spec, status } = await namespace.get<Pod>(`pod/${pod}`)
  const name = container ?? spec.containers[0]?.name
  const id = status.containerStatuses.find((state) => state.name === name)?.containerID.replace(/^.*:\/\//, '')
  if (!id) throw new Error(`The container ${name} of ${pod} does not run.`)
  return { node: spec.nodeName, id }
}

/** Prints the processes of a container, in the numbers of the node. */
function processes(id: string): string {
  return `grep -l ${id} /proc/[0-9]*/cgroup 2>/dev/null | cut -d/ -f3`
}

/** Prints the one that is number 1 inside. */
function firstProcess(id: string): string {
  const isFirst = "grep -q '^NSpid:.*[^0-9]1$' /proc/$number/status"
  return `for number in $(${processes(id)}); do if ${isFirst}; then echo $number; fi; done`
}
