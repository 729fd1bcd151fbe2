import { parseArgs } from 'node:util'

/** What the command line asks for. */
export type CommandLine = {
  help: boolean
  instances: number
  rounds: number
  steadySeconds: number
  jsonFile: string | undefined
}

/** The text of `--help`. */
export const HELP = `npm run bench:operator -- [options]

Measures the operator with many StorageInstances against an API server and etcd of its own. There are no nodes: what
controllers and kubelets would do (Jobs end, pods become ready, services answer) is simulated by the bench.
Nothing else should run beside it.

  --instances N    how many StorageInstances, default 1000
  --rounds N       how often ten instances are changed at once, default 30
  --steady S       for how many seconds nothing is changed, default 60
  --json FILE      all figures as JSON
  --help           this text

Exit code 0 when every goal was met, 1 when one was missed, 2 when the command line is wrong.`

/** Reads the command line; throws an Error with a sentence for the user. */
export function readCommandLine(args: string[]): CommandLine {
  const { values } = parseArgs({
    args,
    options: {
      instances: { type: 'string', default: '1000' },
      rounds: { type: 'string', default: '30' },
      steady: { type: 'string', default: '60' },
      json: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  })
  return {
    help: values.help,
    instances: positive('--instances', values.instances),
    rounds: positive('--rounds', values.rounds),
    steadySeconds: positive('--steady', values.steady),
    jsonFile: values.json,
  }
}

function positive(name: string, text: string): number {
  const value = Number(text)
  if (Number.isInteger(value) && value > 0) return value
  throw new Error(`${name} must be a whole number above 0, and was '${text}'.`)
}
