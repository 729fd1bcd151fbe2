import { type Output, type RunOptions, run, tryRun } from '../image/command.ts'
import { binaryPath } from './build/build.ts'
import { part } from './build/parts.ts'
import { CLUSTER, clusterPaths, foreignKubeconfig } from './place.ts'

/** The kubeconfig of the cluster that is tested. */
export function activeKubeconfig(): string {
  return foreignKubeconfig() ?? clusterPaths(CLUSTER).kubeconfig
}

/** Program, arguments and environment of a kubectl of the pinned version for this cluster. */
export function kubectlCommand(args: string[]): [program: string, args: string[], env: NodeJS.ProcessEnv] {
  return [binaryPath(part('kubectl')), args, { ...process.env, KUBECONFIG: activeKubeconfig() }]
}

/** Runs kubectl against the cluster, and answers its output; throws where it fails. */
export function kubectl(args: string[], options: RunOptions = {}): Promise<string> {
  const [program, , env] = kubectlCommand(args)
  return run(program, args, { ...options, env })
}

/** The same, but answers the exit code instead of throwing. */
export function tryKubectl(args: string[], options: RunOptions = {}): Promise<Output> {
  const [program, , env] = kubectlCommand(args)
  return tryRun(program, args, { ...options, env })
}
