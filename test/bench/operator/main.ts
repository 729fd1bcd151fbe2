/** `npm run bench:operator`: the operator with many StorageInstances. */
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { cpus, loadavg, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { KubeClient } from '../../../operator/kube/client.ts'
import { loadConnection } from '../../../operator/kube/connection.ts'
import { Transport } from '../../../operator/kube/transport.ts'
import { SystemClock } from '../../../operator/process/system-clock.ts'
import { ROOT } from '../../cluster/place.ts'
import type { LatencySummary } from '../statistics.ts'
import { AuditLog } from './audit-log.ts'
import { ControlPlane } from './control-plane.ts'
import { makeFoundation } from './foundation.ts'
import { Instances, NAMESPACES } from './instances.ts'
import { changeRounds, during, type Stretch, untilQuiet } from './measure.ts'
import { OperatorUnderTest } from './operator-under-test.ts'
import { type CommandLine, HELP, readCommandLine } from './options.ts'
import { type Figures, toTable, verdicts } from './report.ts'
import { Simulation } from './simulation.ts'

const BUNDLE = join(ROOT, 'dist', 'operator', 'main.js')

type Bench = {
  line: CommandLine
  folder: string
  plane: ControlPlane
  audit: AuditLog
  client: KubeClient
  proxyPort: number
}

function log(line: string): void {
  process.stderr.write(`${line}\n`)
}

/** A copy, so that a later bundle changes nothing under a running bench. */
function programIn(folder: string): string {
  return join(folder, 'operator.mjs')
}

function startOperator({ folder, plane, proxyPort }: Bench): Promise<OperatorUnderTest> {
  const logFile = join(folder, 'operator.log')
  return OperatorUnderTest.start({
    program: programIn(folder),
    kubeconfig: plane.kubeconfigOf('operator'),
    proxyPort,
    logFile,
  })
}

/** The first operator: everything is still to be made. */
async function makeAll(bench: Bench, instances: Instances): Promise<Stretch> {
  const { audit } = bench
  const operator = await startOperator(bench)
  await operator.untilReady()
  const made = await during({ audit, operator }, () =>
    instances.untilReady((ready) => {
      const megabytes = Math.round(operator.memoryMiB.now)
      log(`  ${ready} of ${bench.line.instances} are ready; the operator holds ${megabytes} MiB`)
    }),
  )
  log(`  all are ready after ${Math.round(made.seconds)} s`)
  await untilQuiet(audit)
  const peakMiB = operator.memoryMiB.peak
  await operator.stop()
  return { ...made, peakMiB }
}

type Second = Pick<Figures, 'coldStart' | 'changesDuringStart' | 'changes' | 'steady' | 'memoryMiB'>

/** The second operator: everything is there, and it finds that out. */
async function measureRunning(bench: Bench, instances: Instances): Promise<Second> {
  const { audit, line } = bench
  const mark = audit.mark()
  const operator = await startOperator(bench)
  const observedMs = await operator.untilReady()
  log(`  all observed after ${Math.round(observedMs)} ms`)
  const reconciledMs = await operator.untilReconciled(line.instances)
  log(`  all reconciled after ${Math.round(reconciledMs)} ms`)
  const coldStart = { observedMs, reconciledMs, writes: audit.since(mark), peakMiB: operator.memoryMiB.peak }
  let changes: LatencySummary | undefined
  const changing = await during({ audit, operator }, async () => {
    changes = await changeRounds(instances, line.rounds)
  })
  log(`  ${line.rounds} times ten were changed: p99 ${Math.round(changes?.p99Ms ?? 0)} ms`)
  log('  waiting for silence')
  await untilQuiet(audit)
  const steady = await during({ audit, operator }, () => delay(line.steadySeconds * 1_000))
  const memoryMiB = operator.memoryMiB
  await operator.stop()
  const changesDuringStart = await measureStart(bench, instances)
  return { coldStart, changes: { ...(changes as LatencySummary), ...changing }, steady, memoryMiB, changesDuringStart }
}

/** The third operator: ten are changed while it has all the others before it. */
async function measureStart(bench: Bench, instances: Instances): Promise<Figures['changesDuringStart']> {
  const operator = await startOperator(bench)
  await operator.untilReady()
  const { depth } = await operator.work()
  const latency = await changeRounds(instances, 1)
  await untilQuiet(bench.audit)
  await operator.stop()
  return { ...latency, waitingKeys: depth }
}

async function measure(bench: Bench): Promise<Figures> {
  const simulation = new Simulation(bench.client, (error) => log(`  simulation: ${error}`))
  const instances = new Instances(bench.client, bench.line.instances)
  const proxyPort = await simulation.start()
  try {
    log(`making ${bench.line.instances} StorageInstances`)
    await instances.make((made) => log(`  ${made} are made`))
    log('the operator makes what they want')
    const making = await makeAll({ ...bench, proxyPort }, instances)
    log('the operator is started anew')
    const running = await measureRunning({ ...bench, proxyPort }, instances)
    const machine = { cpus: cpus().length, memoryGiB: Math.round(totalmem() / 2 ** 30), node: process.version }
    return { instances: bench.line.instances, machine, loadAverages: loadavg(), making, ...running }
  } finally {
    await instances.stop()
    await simulation.stop()
  }
}

async function run(line: CommandLine): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'sonoma-bench-operator-'))
  await copyFile(BUNDLE, programIn(folder))
  const plane = await ControlPlane.start(folder, log)
  const clock = new SystemClock()
  const connection = loadConnection(plane.kubeconfigOf('admin'), clock)
  try {
    const transport = new Transport({ connection, clock, random: Math.random, timeoutMs: 60_000 })
    await makeFoundation(transport, NAMESPACES)
    const client = new KubeClient(transport)
    const audit = new AuditLog(plane.auditFile)
    const figures = await measure({ line, folder, plane, audit, client, proxyPort: 0 })
    process.stdout.write(`${toTable(figures)}\n`)
    if (line.jsonFile !== undefined) await writeFile(line.jsonFile, `${JSON.stringify(figures, undefined, 2)}\n`)
    await rm(folder, { recursive: true, force: true, maxRetries: 5 })
    return verdicts(figures).every(({ met }) => met) ? 0 : 1
  } catch (error) {
    log(`The logs are in ${folder}.`)
    throw error
  } finally {
    await connection.close()
    await plane.stop()
  }
}

function readRequest(): CommandLine | undefined {
  try {
    return readCommandLine(process.argv.slice(2))
  } catch (error) {
    log(error instanceof Error ? error.message : String(error))
    return undefined
  }
}

// The other processes are ended when this one exits, which a signal alone would not let them see.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))

const request = readRequest()
if (request?.help) log(HELP)
else process.exitCode = request ? await run(request) : 2
