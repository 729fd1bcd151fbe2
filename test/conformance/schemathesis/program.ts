/** Schemathesis, in the versions of `requirements.txt`, in a virtual environment of its own. */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { run, tryRun } from '../../image/command.ts'
import { cached } from '../../support/cache.ts'

const HERE = import.meta.dirname
const REQUIREMENTS = join(HERE, 'requirements.txt')

/** Runs Schemathesis to its end, in a folder that it may write to. Throws only where it cannot run: what it found is in the reports that it is told to write. */
export async function schemathesis(folder: string, args: string[], env: Record<string, string>): Promise<void> {
  const python = join(await environment(), 'bin/python')
  const program = join(python, '../st')
  const settings = ['--config-file', join(HERE, 'schemathesis.toml')]
  const own = { PATH: process.env.PATH, HOME: folder, PYTHONPATH: HERE, SCHEMATHESIS_HOOKS: 'hooks' }
  const options = { cwd: folder, env: { ...own, PYTHONDONTWRITEBYTECODE: '1', ...env } }
  const { code, stdout, stderr } = await tryRun(python, [program, ...settings, 'run', ...args], options)
  // 1: something was found.
  if (code > 1) throw new Error(`Schemathesis ended with ${code}:\n${stdout.slice(-3_000)}\n${stderr.slice(-3_000)}`)
}

/** The folder of the environment, made at the first call and kept while the requirements stay the same. */
async function environment(): Promise<string> {
  const version = createHash('sha256')
    .update(await readFile(REQUIREMENTS))
    .digest('hex')
    .slice(0, 12)
  return cached(`schemathesis-${version}`, async (folder) => {
    await installVenv()
    await run('python3', ['-m', 'venv', folder])
    await run(join(folder, 'bin/python'), ['-m', 'pip', 'install', '--quiet', '--require-hashes', '-r', REQUIREMENTS])
  })
}

/** Debian ships Python without it, or no Python at all. */
async function installVenv(): Promise<void> {
  if ((await tryRun('python3', ['-c', 'import ensurepip, venv'])).code === 0) return
  if (process.getuid?.() !== 0) throw new Error('This needs Python 3.11 or newer with its module venv.')
  await run('apt-get', ['install', '-y', '--no-install-recommends', 'python3', 'python3-venv'])
}
