/** What runs in a settings Job: tells whether PostgreSQL starts with new settings. Touches no database. */
import { runSettingsTask } from './settings-task.ts'
import { createTaskLog } from './task-log.ts'
import { writeTerminationMessage } from './termination-message.ts'

const { exitCode, message } = await runSettingsTask(process.env, createTaskLog('settings'))
writeTerminationMessage(message, process.env.TERMINATION_MESSAGE_PATH)
process.exitCode = exitCode
