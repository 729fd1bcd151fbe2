/** A program for tests: starts the embedded server in the folder of its argument, prints a line of JSON, and stays. */
import { EmbeddedPostgres } from '../../app/embedded/embedded-postgres.ts'

const [folder = '', ending] = process.argv.slice(2)
const server = new EmbeddedPostgres({ folder, log: (line) => process.stderr.write(`${line}\n`) })
try {
  await server.start()
  await server.createDatabase('held')
  process.stdout.write(`${JSON.stringify({ pid: server.pid, url: server.url('held') })}\n`)
  if (ending === 'exit') process.exit(0)
  process.stdin.resume()
  process.stdin.once('end', () => server.stop())
} catch (error) {
  process.stdout.write(`${JSON.stringify({ error: String(error) })}\n`)
  process.exitCode = 1
}
