import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { kubectlCommand } from '../kubectl.ts'
import type { Namespace } from './namespace.ts'

/** Values of a field in the order in which they came to be, none twice in a row. */
export type Watched = { values: () => string[]; stop: () => Promise<void> }

/** Follows a field of one object (`{.spec.replicas}`), so that a value which is there for a moment only is seen as well. */
export function watchValues(namespace: Namespace, target: string, path: string): Watched {
  const watch = ['get', target, '-n', namespace.name, '--watch', '-o', `jsonpath=${path}{"\\n"}`]
  const [program, args, env] = kubectlCommand(watch)
  const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'inherit'] })
  let said = ''
  child.stdout.on('data', (chunk: Buffer) => {
    said += chunk
  })
  const values = () => {
    const lines = said.split('\n').slice(0, -1)
    return lines.filter((line, index) => line !== lines[index - 1])
  }
  const stop = async () => {
    if (child.exitCode !== null) throw new Error(`The watch of ${target} ended early.`)
    child.kill()
    await once(child, 'exit')
  }
  return { values, stop }
}
