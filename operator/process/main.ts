/** The operator as it runs in a cluster: `npm run operator`. Exit codes: contract.ts. */

import { EXIT_CODES } from '../contract.ts'
import { loadConnection } from '../kube/connection.ts'
import { Reconciler } from '../reconcile/reconcile.ts'
import { ConfigError, loadConfig } from './config.ts'
import { helpText } from './config-help.ts'
import { createLogger, loggedError } from './log.ts'
import { Operator } from './operator.ts'
import { SystemClock } from './system-clock.ts'
import { VERSION } from './version.ts'

async function main(args: string[]): Promise<void> {
  if (args.includes('--help')) return print(helpText())
  if (args.includes('--version')) return print(`${VERSION}\n`)
  process.on('uncaughtException', dieOf)
  try {
    const operator = makeOperator(args)
    stopOnSignals(operator)
    await operator.start()
  } catch (error) {
    const message = error instanceof ConfigError ? error.message : loggedError(error).message
    process.stderr.write(`${message}\n`)
    process.exit(error instanceof ConfigError ? EXIT_CODES.wrongConfiguration : EXIT_CODES.failed)
  }
}

function makeOperator(args: string[]): Operator {
  const config = loadConfig(process.env, args)
  const log = createLogger(config.logLevel)
  const clock = new SystemClock()
  return new Operator({
    config,
    connection: loadConnection(config.kubeconfig, clock),
    clock,
    log,
    reconcileWith: (parts) => {
      const reconciler = new Reconciler(parts)
      return (key, signal) => reconciler.reconcile(key, signal)
    },
    // At once: whatever is under way in this process must not write any more.
    onLeaseLost: () => process.exit(EXIT_CODES.leaseLost),
  })
}

/** SIGTERM and SIGINT stop in order; a second one ends at once. */
function stopOnSignals(operator: Operator): void {
  let isStopping = false
  const onSignal = async () => {
    if (isStopping) process.exit(EXIT_CODES.failed)
    isStopping = true
    await operator.stop()
    process.exit(EXIT_CODES.stopped)
  }
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)
}

/** Node.js itself would print every field of the error, and with it headers that hold tokens. */
function dieOf(error: unknown): void {
  createLogger('error').fatal({ error }, 'the operator ends because of a mistake of its own')
  process.exit(EXIT_CODES.failed)
}

function print(text: string): void {
  process.stdout.write(text)
}

await main(process.argv.slice(2))
