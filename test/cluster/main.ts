/** `npm run cluster:up`, `cluster:down` and `cluster:status`. */
import { clusterDown } from './down.ts'
import { activeKubeconfig } from './kubectl.ts'
import { Refusal } from './refusal.ts'
import { clusterStatus } from './status.ts'
import { clusterUp } from './up.ts'

const startedAt = performance.now()

/** A progress line with the seconds since the start in front of it. */
function report(line: string): void {
  console.log(`${seconds().padStart(5)} s  ${line}`)
}

function seconds(): string {
  return ((performance.now() - startedAt) / 1_000).toFixed(1)
}

async function up(): Promise<number> {
  await clusterUp(report, { bare: process.argv.includes('--bare') })
  console.log(`The cluster is up after ${seconds()} s. Its kubeconfig: ${activeKubeconfig()}`)
  return 0
}

async function down(): Promise<number> {
  const was = await clusterDown(report)
  console.log(was ? `The cluster is down after ${seconds()} s.` : 'There was no cluster.')
  return 0
}

async function status(): Promise<number> {
  const { ready, lines } = await clusterStatus()
  console.log(lines.join('\n'))
  return ready ? 0 : 1
}

const COMMANDS: Record<string, () => Promise<number>> = { up, down, status }

const command = COMMANDS[process.argv[2] ?? '']
if (!command) {
  console.error('Say up, down or status.')
  process.exitCode = 2
} else {
  process.exitCode = await command().catch((error: unknown) => {
    console.error(error instanceof Refusal ? error.message : error)
    return 1
  })
}
