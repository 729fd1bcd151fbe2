import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { run } from './command.ts'

type ImageConfig = { Entrypoint: string[]; Cmd: string[]; Env: string[]; User: string; WorkingDir: string }

/**
 * One container of an image under runc, as strict as a restricted pod: read-only root, the image's own user, no
 * capabilities, no new privileges, its program as PID 1; on the host's network.
 */
export class Container {
  readonly id = `sonoma-test-${randomUUID()}`
  readonly #bundle: string
  readonly #source: string
  #child: ChildProcess | undefined
  #log = ''

  private constructor(bundle: string, source: string) {
    this.#bundle = bundle
    this.#source = source
  }

  /** Starts the image's program, with more arguments in place of the image's own where `args` is given. */
  static async start(image: string, env: Record<string, string>, args?: string[]): Promise<Container> {
    const source = await run('buildah', ['from', '--pull-never', image])
    const root = await run('buildah', ['mount', source])
    const bundle = await mkdtemp(join(tmpdir(), 'sonoma-bundle-'))
    await run('runc', ['spec'], { cwd: bundle })
    const spec = JSON.parse(await readFile(join(bundle, 'config.json'), 'utf8'))
    await writeFile(
      join(bundle, 'config.json'),
      JSON.stringify(tighten(spec, root, await configOf(image), { env, args })),
    )
    const container = new Container(bundle, source)
    container.#spawn()
    return container
  }

  get log(): string {
    return this.#log
  }

  /** Sends a signal to PID 1 of the container. */
  async signal(name: string): Promise<void> {
    await run('runc', ['kill', this.id, name])
  }

  /** Resolves with the exit code of the program. */
  exited(): Promise<number> {
    const child = this.#child
    if (!child || child.exitCode !== null) return Promise.resolve(child?.exitCode ?? 1)
    return new Promise((resolve) => child.once('exit', (code) => resolve(code ?? 1)))
  }

  /** Ends the program if it runs, and removes everything the container left. */
  async remove(): Promise<void> {
    if (this.#child?.exitCode === null) await run('runc', ['kill', this.id, 'KILL']).catch(() => {})
    await this.exited()
    await run('buildah', ['umount', this.#source])
    await run('buildah', ['rm', this.#source])
    await rm(this.#bundle, { recursive: true, force: true })
  }

  #spawn(): void {
    const child = spawn('runc', ['run', '--bundle', this.#bundle, this.id], { stdio: ['ignore', 'pipe', 'pipe'] })
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk) => {
        this.#log += chunk
      })
    }
    this.#child = child
  }
}

async function configOf(image: string): Promise<ImageConfig> {
  const inspected = JSON.parse(await run('buildah', ['inspect', '--type', 'image', image]))
  return inspected.OCIv1.config
}

type Spec = {
  process: Record<string, unknown>
  root: Record<string, unknown>
  linux: Record<string, unknown>
  mounts: { type: string }[]
}

function tighten(
  spec: Spec,
  root: string,
  config: ImageConfig,
  start: { env: Record<string, string>; args?: string[] },
): Spec {
  const [uid = 0, gid = 0] = config.User.split(':').map(Number)
  const own = Object.entries(start.env).map(([name, value]) => `${name}=${value}`)
  spec.root = { path: root, readonly: true }
  spec.process = {
    args: [...(config.Entrypoint ?? []), ...(start.args ?? config.Cmd ?? [])],
    cwd: config.WorkingDir || '/',
    env: [...config.Env, ...own],
    user: { uid, gid },
    noNewPrivileges: true,
    capabilities: {},
  }
  spec.linux = { namespaces: ['pid', 'mount', 'ipc', 'uts'].map((type) => ({ type })) }
  spec.mounts = spec.mounts.filter((mount) => mount.type === 'proc')
  return spec
}
