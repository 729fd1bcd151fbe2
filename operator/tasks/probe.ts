/** What runs in a probe Job: tells what an external database and the given role can do. Changes nothing. */
import { runProbeTask } from './probe-task.ts'
import { createTaskLog } from './task-log.ts'
import { writeTerminationMessage } from './termination-message.ts'

const { exitCode, message } = await runProbeTask(process.env, createTaskLog('probe'))
writeTerminationMessage(message, process.env.TERMINATION_MESSAGE_PATH)
process.exitCode = exitCode
