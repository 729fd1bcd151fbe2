import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { type DeclaredQueue, parseDeclaredQueues } from '../database/declared-queues.ts'
import { MigrationError } from '../errors.ts'
import { parseDurationMs } from '../files/header.ts'
import type { RunOptions } from '../run/run-session.ts'

const COMMANDS = ['status', 'plan', 'up', 'down', 'verify'] as const
export type Command = (typeof COMMANDS)[number]

/** What was asked for on the command line and in the environment. */
export type Asked = {
  command: Command
  json: boolean
  run: RunOptions
  approveContract: string[]
  to: string | undefined
  restorePoint: boolean
  queues: DeclaredQueue[]
}

export const HELP = `Usage: npm run migrate -- <command> [options]      (in the image: /srv/migrations/main.js <command>)

  status   show which migrations are applied
  plan     show what \`up\` would do now: the SQL, the locks of each statement, and the sessions it would wait for
  up       bring the database to the schema of this release
  down     revert migrations: after \`down --to 0003\`, 0003 is the latest one
  verify   compare the database with the committed schema, object by object

  --json                 print one JSON document to standard output, and progress to standard error
  --approve <number>     \`up\`, \`plan\`: let this contract migration run; can be repeated
  --to <number>          \`down\`: the migration that remains the latest; 0000 reverts everything
  --restore-point        \`up\`: create a restore point in the WAL before the run, if the role may
  --queues-file <file>   \`up\`: JSON list of the queues that get partitions of their own
  --lock-timeout <time>  how long other sessions may wait behind one attempt to get a lock; default 200ms
  --give-up <time>       how long a step is retried before the run gives up; default 10min
  --wait <time>          how long to wait for another run to end; default 60s

DATABASE_URL, or the file that DATABASE_URL_FILE names, contains the URL of the database. It must be a direct connection,
and the role must own the schema.

Exit codes: 0 done; 1 failed; 2 wrong usage; 3 \`verify\` found differences; 4 something must be changed first (an edited
file, a claim, a change that cannot be reverted); 5 another run or a long transaction is in the way, try again.`

/** Reads the command line; undefined where help is wanted. Throws `wrong_usage`. */
export function readAsked(args: string[], env: NodeJS.ProcessEnv): Asked | undefined {
  const { values, positionals } = parse(args)
  if (values.help) return undefined
  const [command, ...rest] = positionals
  if (!isCommand(command) || rest.length > 0) throw wrong(`The command must be one of ${COMMANDS.join(', ')}`)
  if (command === 'down' && !values.to) throw wrong('`down` needs --to with the number of the migration that stays')
  if (values.to !== undefined && !/^\d{4}$/.test(values.to)) throw wrong('--to needs a number of four digits')
  return {
    command,
    json: values.json === true,
    run: {
      databaseUrl: readDatabaseUrl(env),
      ...(values.wait && { lockWaitMs: duration('--wait', values.wait) }),
      patience: {
        ...(values['lock-timeout'] && { lockTimeoutMs: duration('--lock-timeout', values['lock-timeout']) }),
        ...(values['give-up'] && { giveUpMs: duration('--give-up', values['give-up']) }),
      },
    },
    approveContract: (values.approve ?? []).flatMap((value) => value.split(',')),
    to: values.to,
    restorePoint: values['restore-point'] === true,
    queues: values['queues-file'] ? parseDeclaredQueues(readFile('--queues-file', values['queues-file'])) : [],
  }
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        help: { type: 'boolean', short: 'h' },
        json: { type: 'boolean' },
        approve: { type: 'string', multiple: true },
        to: { type: 'string' },
        'restore-point': { type: 'boolean' },
        'queues-file': { type: 'string' },
        'lock-timeout': { type: 'string' },
        'give-up': { type: 'string' },
        wait: { type: 'string' },
      },
    })
  } catch (error) {
    throw wrong((error as Error).message)
  }
}

function isCommand(text: string | undefined): text is Command {
  return COMMANDS.some((command) => command === text)
}

function duration(option: string, text: string): number {
  const ms = parseDurationMs(text)
  if (ms) return ms
  throw wrong(`${option} needs a duration such as 200ms, 5s or 10min`)
}

function readDatabaseUrl(env: NodeJS.ProcessEnv): string {
  const url = env.DATABASE_URL_FILE ? readFile('DATABASE_URL_FILE', env.DATABASE_URL_FILE).trim() : env.DATABASE_URL
  if (url) return url
  throw wrong(
    'DATABASE_URL is not set; give the address of the database (of npm start: DATABASE_URL_FILE=.data/database-url)',
  )
}

function readFile(option: string, path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw wrong(`${option}: ${path} cannot be read (${(error as NodeJS.ErrnoException).code})`)
  }
}

function wrong(message: string): MigrationError {
  return new MigrationError('wrong_usage', `${message}. \`--help\` tells more.`)
}
