/** What runs in a migration Job: brings the database to the schema of this image. Everything comes from the environment. */
import { runMigrateTask } from './migrate-task.ts'
import { createTaskLog } from './task-log.ts'
import { writeTerminationMessage } from './termination-message.ts'

const stop = new AbortController()
for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => stop.abort())
const { exitCode, message } = await runMigrateTask(process.env, createTaskLog('migrate'), stop.signal)
writeTerminationMessage(message, process.env.TERMINATION_MESSAGE_PATH)
process.exitCode = exitCode
