/** `npm run bench`: measures the service against plain baselines. See docs/performance.md. */
import { Bench } from './bench.ts'
import type { Case } from './case.ts'
import { BULK_CASES } from './cases/bulk.ts'
import { DOCUMENT_CASES } from './cases/documents.ts'
import { MILLION_CASES } from './cases/million.ts'
import { QUEUE_CASES } from './cases/queue.ts'
import { type CommandLine, HELP, readCommandLine } from './options.ts'
import { BenchPostgres } from './postgres.ts'
import { type Report, toTable, writeJson } from './report.ts'
import { type RunOptions, runCase } from './runner.ts'

const CASES: Case[] = [...QUEUE_CASES, ...DOCUMENT_CASES, ...MILLION_CASES, ...BULK_CASES]
type Measured = { reports: Report[]; failed: string[] }

const DEFAULT_ROUNDS = 5
const DEFAULT_SECONDS = 3

const log = (line: string): void => {
  process.stderr.write(`${line}\n`)
}

function chooseCases(names: string[]): Case[] {
  const unknown = names.filter((name) => !CASES.some((subject) => subject.name === name))
  if (unknown.length > 0) throw new Error(`There is no case ${unknown.join(', ')}; --list names them all.`)
  return names.length === 0 ? CASES : CASES.filter((subject) => names.includes(subject.name))
}

function runOptions(line: CommandLine, subject: Case): RunOptions {
  const rounds = line.quick ? 1 : Math.min(DEFAULT_ROUNDS, subject.rounds ?? DEFAULT_ROUNDS)
  return { rounds: line.rounds ?? rounds, secondsPerTurn: line.seconds ?? (line.quick ? 1 : DEFAULT_SECONDS) }
}

/** The failure of one case is told and keeps no other from its turn. */
async function measure(line: CommandLine, subjects: Case[]): Promise<Measured> {
  const { quick, noise, sources, profileFolder } = line
  const postgres = await BenchPostgres.start({ profile: profileFolder !== undefined, log })
  const bench = new Bench(postgres, { quick, noise, sources, profileFolder, log })
  const measured: Measured = { reports: [], failed: [] }
  try {
    for (const subject of subjects) {
      log(`${subject.name}: ${subject.title}${subject.against && `, against ${subject.against}`}`)
      await measureOne(bench, subject, { line, measured })
    }
  } finally {
    await postgres.stop()
  }
  return measured
}

async function measureOne(bench: Bench, subject: Case, run: { line: CommandLine; measured: Measured }): Promise<void> {
  try {
    run.measured.reports.push({ subject, result: await runCase(bench, subject, runOptions(run.line, subject)) })
  } catch (error) {
    run.measured.failed.push(subject.name)
    log(`  failed: ${error instanceof Error ? error.stack : error}`)
  }
}

function allMet({ reports, failed }: Measured): boolean {
  return failed.length === 0 && reports.every(({ result }) => result.outcomes.every(({ met }) => met))
}

async function bench(line: CommandLine, subjects: Case[]): Promise<number> {
  if (line.help) log(HELP)
  if (line.list) log(CASES.map(({ name, title }) => `${name.padEnd(22)}${title}`).join('\n'))
  if (line.help || line.list) return 0
  const measured = await measure(line, subjects)
  process.stdout.write(`${toTable(measured.reports)}\n`)
  if (measured.failed.length > 0) log(`These cases failed: ${measured.failed.join(', ')}`)
  if (line.jsonFile !== undefined) writeJson(line.jsonFile, measured.reports)
  return allMet(measured) ? 0 : 1
}

/** Undefined where the command line is wrong, which it has said by then. */
function readRequest(): { line: CommandLine; subjects: Case[] } | undefined {
  try {
    const line = readCommandLine(process.argv.slice(2))
    return { line, subjects: chooseCases(line.cases) }
  } catch (error) {
    log(error instanceof Error ? error.message : String(error))
    return undefined
  }
}

// PostgreSQL is told to end when this process exits, which a signal alone would not let it see.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))

const request = readRequest()
process.exitCode = request ? await bench(request.line, request.subjects) : 2
