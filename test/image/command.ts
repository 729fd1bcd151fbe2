import { spawn } from 'node:child_process'

export type Output = { code: number; stdout: string; stderr: string }
export type RunOptions = {
  cwd?: string
  env?: NodeJS.ProcessEnv
  /** What the program reads as its standard input; nothing where it is not given. */
  input?: string
  /** Ends the program. */
  signal?: AbortSignal
}

/** Runs a program to its end and answers what it printed; never throws for an exit code. */
export function tryRun(program: string, args: string[], options: RunOptions = {}): Promise<Output> {
  const { input, ...rest } = options
  return new Promise((resolve) => {
    const child = spawn(program, args, { ...rest, stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'] })
    const output = { stdout: '', stderr: '' }
    child.stdout?.setEncoding('utf8').on('data', (chunk) => {
      output.stdout += chunk
    })
    child.stderr?.setEncoding('utf8').on('data', (chunk) => {
      output.stderr += chunk
    })
    // A program that ends without reading its input closes the pipe; its exit code says more.
    child.stdin?.on('error', () => {}).end(input)
    child.on('error', (error) => resolve({ code: 127, stdout: '', stderr: String(error) }))
    child.on('close', (code) => resolve({ code: code ?? 1, ...output }))
  })
}

/** Runs a program and answers its standard output, trimmed; throws with the end of its error output where it fails. */
export async function run(program: string, args: string[], options: RunOptions = {}): Promise<string> {
  const { code, stdout, stderr } = await tryRun(program, args, options)
  if (code === 0) return stdout.trim()
  throw new Error(`${program} ${args.join(' ')} ended with ${code}:\n${`${stdout}\n${stderr}`.slice(-2_000)}`)
}
