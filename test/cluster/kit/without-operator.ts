import { afterAll, beforeAll } from 'vitest'
import { OPERATOR } from '../../../cdk8s/constructs/metadata.ts'
import { kubectl, tryKubectl } from '../kubectl.ts'

const DEPLOYMENT = `deployment/${OPERATOR}`
const IN = ['-n', 'sonoma-storage']

/** For a file that looks at the resources alone: an operator that other files have installed rests until its tests are done. */
export function useNoOperator(): void {
  let replicas = ''
  beforeAll(async () => {
    replicas = (await tryKubectl(['get', DEPLOYMENT, ...IN, '-o', 'jsonpath={.spec.replicas}'])).stdout.trim()
    if (replicas === '') return
    await kubectl(['scale', DEPLOYMENT, ...IN, '--replicas=0'])
    await kubectl(['wait', '--for=delete', 'pods', '-l', `app.kubernetes.io/name=${OPERATOR}`, ...IN, '--timeout=60s'])
  })
  afterAll(async () => {
    if (replicas !== '') await kubectl(['scale', DEPLOYMENT, ...IN, `--replicas=${replicas}`])
  })
}
