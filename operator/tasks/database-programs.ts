import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { TaskError } from './task-error.ts'

const TAIL_BYTES = 1_000

/** Makes a data folder with checksums; nobody comes in but `superuser`, by the socket. */
export async function initdb(folder: string, superuser: string): Promise<void> {
  const flags = ['--data-checksums', '--auth-local=peer', '--auth-host=scram-sha-256', '--encoding=UTF8']
  const locale = ['--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--locale=C.UTF-8']
  const { code, text } = await run('initdb', ['-D', folder, `--username=${superuser}`, ...flags, ...locale])
  if (code !== 0) throw new TaskError(isFull(text) ? 'volume_full' : 'initdb_failed', `initdb failed: ${tail(text)}`)
}

/** The major version of the programs of this image, for instance `17`. */
export async function serverMajor(): Promise<string> {
  const { text } = await run('postgres', ['--version'])
  return /\(PostgreSQL\) (\d+)/.exec(text)?.[1] ?? 'unknown'
}

/** Has PostgreSQL read a configuration file; throws with its own words where it would not start with it. */
export async function checkConfiguration(data: string, file: string): Promise<void> {
  const { code, text } = await run('postgres', ['-D', data, '-c', `config_file=${file}`, '-C', 'data_checksums'])
  if (code === 0) return
  throw new TaskError('bad_parameter', `PostgreSQL refuses its configuration: ${tail(text)}`)
}

async function run(program: string, args: string[]): Promise<{ code: number; text: string }> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let text = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
    })
  }
  const [code] = (await once(child, 'close')) as [number | null]
  return { code: code ?? 1, text }
}

function isFull(text: string): boolean {
  return /No space left on device/i.test(text)
}

function tail(text: string): string {
  return text.trim().slice(-TAIL_BYTES)
}
