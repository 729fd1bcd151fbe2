/** The service as it runs in production: `npm run serve`. The database has to have its schema already. */
import { loadConfig } from './config/config.ts'
import { helpText } from './config/help.ts'
import { ConfigError } from './config/problems.ts'
import { createLogger, loggedError } from './log.ts'
import { type Service, startService } from './server.ts'
import { VERSION } from './version.ts'

const EXIT = { failed: 1, wrongConfiguration: 2 } as const

async function main(args: string[]): Promise<void> {
  if (args.includes('--help')) return print(helpText())
  if (args.includes('--version')) return print(`${VERSION}\n`)
  process.on('uncaughtException', dieOf)
  try {
    const config = loadConfig(process.env, args)
    const starting = startService(config, { onForcedStop: fail })
    stopOnSignals(starting)
    await starting
  } catch (error) {
    explain(error)
    process.exitCode = error instanceof ConfigError ? EXIT.wrongConfiguration : EXIT.failed
  }
}

/** SIGTERM and SIGINT stop in order, during the start as well; a second one ends at once. */
function stopOnSignals(starting: Promise<Service>): void {
  let isStopping = false
  const onSignal = async () => {
    if (isStopping) process.exit(EXIT.failed)
    isStopping = true
    const service = await starting.catch(() => undefined)
    await service?.stop()
    process.exit()
  }
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)
}

function fail(): void {
  process.exitCode = EXIT.failed
}

/** Node.js itself would print every field of the error, and with it addresses that hold passwords. */
function dieOf(error: unknown): void {
  createLogger('error').fatal({ error }, 'the service ends because of a mistake of its own')
  process.exit(EXIT.failed)
}

function explain(error: unknown): void {
  const message = error instanceof ConfigError ? error.message : loggedError(error).message
  process.stderr.write(`${message}\n`)
}

function print(text: string): void {
  process.stdout.write(text)
}

await main(process.argv.slice(2))
