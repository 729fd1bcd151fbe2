/** The command: reads the command line, runs one command and answers for people or as JSON. */

import { type Asked, HELP, readAsked } from './cli/options.ts'
import { downText, planText, statusText, upText, verifyText } from './cli/texts.ts'
import { EXIT_CODES, exitCodeOf, toMigrationError } from './errors.ts'
import { migrateDown } from './run/down.ts'
import { readPlan } from './run/plan.ts'
import { migrate } from './run/run.ts'
import { readStatus } from './schema/status.ts'
import { verifySchema } from './schema/verify.ts'

type Answer = { value: object; text: string; exitCode?: number }

process.exitCode = await main(process.argv.slice(2))

async function main(args: string[]): Promise<number> {
  const isJson = args.includes('--json')
  try {
    const asked = readAsked(args, process.env)
    if (!asked) return print(HELP, EXIT_CODES.done)
    const { value, text, exitCode = EXIT_CODES.done } = await answer(asked)
    return print(isJson ? JSON.stringify(value) : text, exitCode)
  } catch (error) {
    const known = toMigrationError(error)
    if (isJson) print(JSON.stringify({ code: known.code, error: known.message }), 0)
    else process.stderr.write(`${known.message}\n`)
    return exitCodeOf(known)
  }
}

async function answer(asked: Asked): Promise<Answer> {
  const { databaseUrl } = asked.run
  switch (asked.command) {
    case 'status': {
      const value = await readStatus(databaseUrl)
      return { value, text: statusText(value) }
    }
    case 'plan': {
      const value = await readPlan({ databaseUrl, approveContract: asked.approveContract })
      return { value, text: planText(value) }
    }
    case 'verify': {
      const value = await verifySchema(databaseUrl)
      const isFine = value.state === 'ok' && value.pgBoss === 'ok'
      return { value, text: verifyText(value), exitCode: isFine ? EXIT_CODES.done : EXIT_CODES.drift }
    }
    default:
      return change(asked)
  }
}

async function change(asked: Asked): Promise<Answer> {
  const stop = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort())
  const output = asked.json ? process.stderr : process.stdout
  const run = { ...asked.run, signal: stop.signal, log: (line: string) => void output.write(`${line}\n`) }
  if (asked.command === 'down') {
    const value = await migrateDown({ ...run, to: asked.to ?? '' })
    return { value, text: downText(value) }
  }
  const { approveContract, restorePoint, queues } = asked
  const value = await migrate({ ...run, approveContract, restorePoint, queues })
  return { value, text: upText(value) }
}

function print(text: string, code: number): number {
  process.stdout.write(`${text}\n`)
  return code
}
