import { parseArgs } from 'node:util'

/** What the command line asks for. */
export type CommandLine = {
  help: boolean
  list: boolean
  quick: boolean
  noise: boolean
  sources: boolean
  cases: string[]
  rounds: number | undefined
  seconds: number | undefined
  jsonFile: string | undefined
  profileFolder: string | undefined
}

/** The text of `--help`. */
export const HELP = `npm run bench -- [options]

Measures the service against plain baselines on a PostgreSQL of its own. Nothing else should run beside it.

  --case NAME       only this case; may be given several times (names: --list)
  --rounds N        rounds of each case, default 5; at most 3 where a case takes minutes, unless given
  --seconds S       length of one side's turn in a round, default 3
  --quick           a tenth of the data, 1 round, 1 second: shows that everything works, not how fast
  --noise           the baseline against itself: how far from 1 a ratio comes by chance
  --sources         runs the service from app/ instead of from the bundle that the image has
  --json FILE       every measure of every round, as JSON
  --profile FOLDER  CPU profiles of the servers into the folder, and the costliest statements of each turn;
                    runs the service from app/, so that the profiles name its files and lines
  --list            the names of the cases
  --help            this text

Exit code 0 when every goal was met, 1 when one was missed, 2 when the command line is wrong.`

/** Reads the command line; throws an Error with a sentence for the user. */
export function readCommandLine(args: string[]): CommandLine {
  const { values } = parseArgs({
    args,
    options: {
      case: { type: 'string', multiple: true, default: [] },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      quick: { type: 'boolean', default: false },
      noise: { type: 'boolean', default: false },
      sources: { type: 'boolean', default: false },
      json: { type: 'string' },
      profile: { type: 'string' },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  return {
    help: values.help,
    list: values.list,
    quick: values.quick,
    noise: values.noise,
    sources: values.sources || values.profile !== undefined,
    cases: values.case,
    rounds: positive('--rounds', values.rounds, Number.isInteger),
    seconds: positive('--seconds', values.seconds, Number.isFinite),
    jsonFile: values.json,
    profileFolder: values.profile,
  }
}

function positive(name: string, text: string | undefined, isAllowed: (value: number) => boolean): number | undefined {
  if (text === undefined) return undefined
  const value = Number(text)
  if (value > 0 && isAllowed(value)) return value
  throw new Error(`${name} must be a number above 0, and was '${text}'.`)
}
