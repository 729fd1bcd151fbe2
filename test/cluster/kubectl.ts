import { type RunOptions, run, tryRun } from '../image/command.ts'
import { binaryPath } from './build/build.ts'
import { part } from './build/parts.ts'
import { CLUSTER, clusterPaths, foreignKubeconfig } from './place.ts'

/** The kubeconfig of the cluster that is tested. */
export function activeKubeconfig(): string {
  return foreignKubeconfig() ?? clusterPaths(CLUSTER).kubeconfig
}

/** Runs kubectl of the pinned version against the cluster, and answers its output; throws where it fails. */
export function kubectl(args: string[], options: RunOptions = {}): Promise<string> {
  return run(binaryPath(part('kubectl')), args, withConfig(options))
}

/** The same, but answers the exit code instead of throwing. */
export function tryKubectl(args: string[], options: RunOptions = {}): ReturnType<typeof tryRun> {
  return tryRun(binaryPath(part('kubectl')), args, withConfig(options))
}

function withConfig(options: RunOptions): RunOptions {
  return { ...options, env: { ...process.env, ...options.env, KUBECONFIG: activeKubeconfig() } }
}
