import { run } from '../../image/command.ts'
import { kubectl } from '../kubectl.ts'
import { findNode, inside } from '../node/node-process.ts'
import { CLUSTER, clusterPaths, foreignKubeconfig } from '../place.ts'

const HAND = 'sonoma-cluster-storage'

/** Runs a shell script as root in the node's mounts, network and processes, and answers its output. */
export async function onNode(nodeName: string, script: string): Promise<string> {
  if (foreignKubeconfig()) return throughHand(nodeName, script)
  // Not through the API server: it may be what is broken.
  const pid = await findNode(clusterPaths(CLUSTER).node)
  if (!pid) throw new Error('No node runs here: `npm run cluster:up` makes one.')
  const [program, args] = inside(pid, ['sh', '-c', script])
  return run(program, args)
}

/** On a cluster that was given: by the privileged pod that test/cluster/manifests/hand.yaml puts on each node. */
async function throughHand(nodeName: string, script: string): Promise<string> {
  const where = ['-n', HAND, '-l', 'app=hand', '--field-selector', `spec.nodeName=${nodeName}`]
  const pod = await kubectl(['get', 'pods', ...where, '-o', 'name'])
  const enter = ['nsenter', '--target', '1', '--mount', '--net', '--pid', '--uts', '--ipc', '--']
  return kubectl(['exec', '-n', HAND, pod, '--', ...enter, 'sh', '-c', script])
}

/** The names of all nodes. */
export async function nodeNames(): Promise<string[]> {
  return (await kubectl(['get', 'nodes', '-o', 'jsonpath={.items[*].metadata.name}'])).split(' ')
}
