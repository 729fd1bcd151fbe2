/** What runs in a provisioning Job: brings a managed database to what this release offers. Everything comes from the environment. */
import { runProvisionTask } from './provision-task.ts'
import { createTaskLog } from './task-log.ts'
import { writeTerminationMessage } from './termination-message.ts'

const stop = new AbortController()
for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => stop.abort())
const { exitCode, message } = await runProvisionTask(process.env, createTaskLog('provision'), stop.signal)
writeTerminationMessage(message, process.env.TERMINATION_MESSAGE_PATH)
process.exitCode = exitCode
