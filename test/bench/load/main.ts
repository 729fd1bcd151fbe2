/** The load process: prepares a run when told, answers, runs it when told, answers with the result. */
import { prepareRun, type Run } from './scenarios.ts'
import type { LoadAnswer, LoadCommand } from './spec.ts'

let prepared: Run | undefined

async function obey(command: LoadCommand): Promise<LoadAnswer> {
  if (command.command === 'prepare') {
    prepared = await prepareRun(command.port, command.spec)
    return { prepared: true }
  }
  if (!prepared) throw new Error('Nothing was prepared.')
  const run = prepared
  prepared = undefined
  return { result: await run() }
}

process.on('message', (command: LoadCommand) => {
  obey(command).then(
    (answer) => process.send?.(answer),
    (error: unknown) => process.send?.({ error: error instanceof Error ? (error.stack ?? error.message) : `${error}` }),
  )
})
process.on('disconnect', () => process.exit(0))
