import { migrate } from './run.ts'
import { readStatus } from './status.ts'

const HELP = `Usage: npm run migrate -- <command> [--json]

  up       bring the database to this release's schema (the default)
  status   list each migration and whether it is applied

The database is the one of DATABASE_URL; the role must own the schema.
Exit codes: 0 done, 1 failed, 2 wrong usage.`

process.exitCode = await main(process.argv.slice(2))

async function main(args: string[]): Promise<number> {
  const json = args.includes('--json')
  const [command = 'up', ...rest] = args.filter((arg) => arg !== '--json')
  if (args.includes('--help')) return print(HELP, 0)
  if (rest.length > 0 || !['up', 'status'].includes(command)) return fail(`Unknown command.\n\n${HELP}`, 2)
  const databaseUrl = process.env.DATABASE_URL
  if (!databaseUrl) return fail('DATABASE_URL is not set; give the URL of the database to migrate.', 2)
  try {
    return print(await run(command, databaseUrl, json), 0)
  } catch (error) {
    return fail(`migration failed: ${error instanceof Error ? error.message : error}`, 1)
  }
}

async function run(command: string, databaseUrl: string, json: boolean): Promise<string> {
  if (command === 'up') {
    const result = await migrate({ databaseUrl, log: json ? undefined : (line) => process.stdout.write(`${line}\n`) })
    return json ? JSON.stringify(result) : `schema is at version ${result.version}`
  }
  const status = await readStatus(databaseUrl)
  if (json) return JSON.stringify(status)
  return status.map((row) => `${row.version}  ${row.state.padEnd(8)}  ${row.name}`).join('\n')
}

function print(text: string, code: number): number {
  process.stdout.write(`${text}\n`)
  return code
}

function fail(text: string, code: number): number {
  process.stderr.write(`${text}\n`)
  return code
}
