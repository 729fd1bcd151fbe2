/** A migration run of its own process, for a test to kill: `node migrate-program.ts <database address> <folder>`. */
import { migrate } from '../../migrations/run/run.ts'

const [databaseUrl = '', folder = ''] = process.argv.slice(2)
await migrate({ databaseUrl, folder, log: (line) => void process.stdout.write(`${line}\n`) })
