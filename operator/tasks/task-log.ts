/** Progress of a task as JSON lines on the standard output. */
export type TaskLog = { info(message: string, fields?: object): void; error(message: string, fields?: object): void }

/** A log whose lines carry the task's name. */
export function createTaskLog(task: string, write: (line: string) => void = writeLine): TaskLog {
  const say =
    (level: string) =>
    (msg: string, fields: object = {}) =>
      write(JSON.stringify({ level, time: new Date().toISOString(), task, msg, ...fields }))
  return { info: say('info'), error: say('error') }
}

function writeLine(line: string): void {
  process.stdout.write(`${line}\n`)
}
