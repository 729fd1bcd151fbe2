import { spawn } from 'node:child_process'

export type Output = { code: number; stdout: string; stderr: string }

/** Runs a program to its end and answers what it printed; never throws for an exit code. */
export function tryRun(program: string, args: string[], options: { cwd?: string } = {}): Promise<Output> {
  return new Promise((resolve) => {
    const child = spawn(program, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
    const output = { stdout: '', stderr: '' }
    child.stdout.on('data', (chunk) => {
      output.stdout += chunk
    })
    child.stderr.on('data', (chunk) => {
      output.stderr += chunk
    })
    child.on('error', (error) => resolve({ code: 127, stdout: '', stderr: String(error) }))
    child.on('close', (code) => resolve({ code: code ?? 1, ...output }))
  })
}

/** Runs a program and answers its standard output, trimmed; throws with the end of its error output where it fails. */
export async function run(program: string, args: string[], options: { cwd?: string } = {}): Promise<string> {
  const { code, stdout, stderr } = await tryRun(program, args, options)
  if (code === 0) return stdout.trim()
  throw new Error(`${program} ${args.join(' ')} ended with ${code}:\n${`${stdout}\n${stderr}`.slice(-2_000)}`)
}
