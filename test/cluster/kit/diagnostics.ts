import { existsSync } from 'node:fs'
import { cp, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { tryKubectl } from '../kubectl.ts'
import { CLUSTER, clusterPaths, foreignKubeconfig } from '../place.ts'

const KINDS = [
  'pods,deployments,statefulsets,jobs,cronjobs,services,endpointslices,persistentvolumeclaims,configmaps',
  'serviceaccounts,roles,rolebindings,networkpolicies,poddisruptionbudgets,horizontalpodautoscalers,leases',
].join(',')

/** Writes what can be known about a namespace to a new folder, and answers the folder; a part that fails is left out. */
export async function collectDiagnostics(namespace: string): Promise<string> {
  const folder = join(CLUSTER, 'diagnostics', `${namespace}-${new Date().toISOString().replaceAll(/[:.]/g, '-')}`)
  await mkdir(folder, { recursive: true })
  const save = async (file: string, args: string[]) => {
    const { stdout, stderr } = await tryKubectl([...args, '--request-timeout=10s'])
    await writeFile(join(folder, file), stdout || stderr)
  }
  await save('events.txt', ['get', 'events', '-n', namespace, '--sort-by=.lastTimestamp'])
  await save('objects.txt', ['get', KINDS, '-n', namespace, '-o', 'wide'])
  await save('objects.yaml', ['get', KINDS, '-n', namespace, '-o', 'yaml'])
  await save('custom.yaml', ['get', 'storage,servicemonitors,prometheuses', '-n', namespace, '-o', 'yaml'])
  await save('nodes.txt', ['describe', 'nodes'])
  await save('elsewhere.txt', ['get', 'pods', '-A', '-o', 'wide'])
  await collectLogs(namespace, folder)
  await copyNodeLogs(folder)
  return folder
}

async function collectLogs(namespace: string, folder: string): Promise<void> {
  const { stdout } = await tryKubectl(['get', 'pods', '-n', namespace, '-o', 'name'])
  for (const pod of stdout.split('\n').filter((line) => line !== '')) {
    const all = ['logs', pod, '-n', namespace, '--all-containers', '--prefix', '--timestamps', '--tail=5000']
    const [now, before] = [await tryKubectl(all), await tryKubectl([...all, '--previous'])]
    const name = pod.replace('pod/', '')
    await writeFile(join(folder, `log-${name}.txt`), now.stdout || now.stderr)
    if (before.code === 0) await writeFile(join(folder, `log-${name}-before.txt`), before.stdout)
  }
}

async function copyNodeLogs(folder: string): Promise<void> {
  const logs = join(clusterPaths(CLUSTER).node, 'log')
  if (foreignKubeconfig() || !existsSync(logs)) return
  await cp(logs, join(folder, 'node'), { recursive: true, filter: (path) => !path.includes('/log/pods') })
}
