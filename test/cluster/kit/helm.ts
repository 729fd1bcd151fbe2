import { run } from '../../image/command.ts'
import { binaryPath, buildParts } from '../build/build.ts'
import { part } from '../build/parts.ts'
import { activeKubeconfig } from '../kubectl.ts'

/** Runs Helm of the pinned version against the cluster, and answers its output. */
export async function helm(...args: string[]): Promise<string> {
  await buildParts([part('helm')], console.log)
  return run(binaryPath(part('helm')), args, { env: { ...process.env, KUBECONFIG: activeKubeconfig() } })
}
