import { existsSync } from 'node:fs'
import { activeKubeconfig, tryKubectl } from './kubectl.ts'
import { findNode } from './node/node-process.ts'
import { readState } from './node/state.ts'
import { CLUSTER, clusterPaths, foreignKubeconfig } from './place.ts'

/** What is known about the cluster, for people; `ready` is for programs. */
export type Status = { ready: boolean; lines: string[] }

/** Asks how the cluster is; changes nothing. */
export async function clusterStatus(): Promise<Status> {
  const foreign = foreignKubeconfig()
  if (foreign) return asked(`the cluster of KUBECONFIG (${foreign})`)
  const { node } = clusterPaths(CLUSTER)
  if (!existsSync(node)) return { ready: false, lines: ['There is no cluster: `npm run cluster:up` makes one.'] }
  const [pid, state] = [await findNode(node), await readState(node).catch(() => undefined)]
  if (!pid || !state?.finished) {
    const what = pid ? 'was never finished' : 'has ended'
    return {
      ready: false,
      lines: [`The cluster ${what}: \`npm run cluster:up\` makes it anew, cluster:down removes it.`],
    }
  }
  const { ready, lines } = await asked(`our own cluster, process ${pid}, at ${state.settings.subnet.node}`)
  const images = Object.entries(state.images).map(([image, [digest]]) => `  image ${image} (${digest?.slice(7, 19)})`)
  return { ready, lines: [...lines, `  kubeconfig ${activeKubeconfig()}`, ...images] }
}

async function asked(what: string): Promise<Status> {
  const answer = await tryKubectl(['get', 'nodes', '--no-headers', '--request-timeout=5s'])
  const nodes = answer.stdout.split('\n').filter((line) => line !== '')
  const ready = answer.code === 0 && nodes.some((line) => line.split(/\s+/)[1] === 'Ready')
  const detail = answer.code === 0 ? nodes : [answer.stderr.trim()]
  return { ready, lines: [`${ready ? 'Ready' : 'Not ready'}: ${what}`, ...detail.map((line) => `  ${line}`)] }
}
