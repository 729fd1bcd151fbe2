import { spawn } from 'node:child_process'
import { writeSync } from 'node:fs'
import { join } from 'node:path'
import { eventually } from '../support/eventually.ts'
import { clusterDown } from './down.ts'
import { differences, lookAtMachine, startedSince, stillRunning } from './machine.ts'
import { CLUSTER, foreignKubeconfig } from './place.ts'
import { clusterStatus } from './status.ts'
import { clusterUp } from './up.ts'

const startedAt = performance.now()

/**
 * Global set-up of the cluster tests. A cluster that was there before stays, but for one of our own in CI, which starts from
 * nothing; one that is made here leaves nothing behind.
 */
export default async function setUp(): Promise<() => Promise<void>> {
  const isOurs = foreignKubeconfig() === undefined
  const stays = !isOurs || (!process.env.CI && (await clusterStatus()).ready)
  if (stays) {
    await clusterUp(report)
    return async () => undefined
  }
  await clusterDown(report)
  const before = await lookAtMachine(CLUSTER)
  await clusterUp(report)
  process.once('exit', downInBackground)
  report('the cluster is up')
  return async () => {
    const started = await startedSince(before, CLUSTER)
    await clusterDown(report)
    process.off('exit', downInBackground)
    report('the cluster is down')
    // The kernel takes interfaces away a moment after the last process in their namespace.
    await eventually(async () => {
      const left = [...differences(before, await lookAtMachine(CLUSTER)), ...(await stillRunning(started))]
      if (left.length > 0) throw new Error(`The cluster left something behind:\n${left.join('\n')}`)
    })
  }
}

/** For a run that is broken off: the runner ends at once on Ctrl-C, without the teardown. */
function downInBackground(): void {
  spawn(process.execPath, [join(import.meta.dirname, 'main.ts'), 'down'], { detached: true, stdio: 'ignore' }).unref()
  report('removing the node in the background')
}

function report(line: string): void {
  const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1)
  writeSync(1, `${seconds.padStart(6)} s  ${line}\n`)
}
