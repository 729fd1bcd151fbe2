import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { imageId, isMadeFrom, noteSource } from '../cluster/images/source.ts'
import { run } from './command.ts'

/** The bases of the Dockerfile where no registry can be reached: made from Debian's packages, and the Node of this machine. */
export const BASE = 'docker.io/library/debian:trixie-slim'
export const BUILD_BASE = 'localhost/sonoma-storage-build:node'

const CERTIFICATES = '/etc/ssl/certs/ca-certificates.crt'

const DEBOOTSTRAP = ['--variant=minbase', '--include=libstdc++6', 'trixie']

/** Makes the base images that are missing or made from something else; about a minute the first time, nothing after that. */
export async function ensureBaseImages(): Promise<void> {
  await ensure(BASE, DEBOOTSTRAP, makeBase)
  await ensure(BUILD_BASE, await buildBaseSources(), makeBuildBase)
}

async function ensure(image: string, sources: string[], make: () => Promise<void>): Promise<void> {
  const source = createHash('sha256').update(sources.join('\n')).digest('hex').slice(0, 16)
  if (await isMadeFrom(image, source)) return
  await make()
  await noteSource(image, source)
}

/** What the image of the build stage is made from. */
async function buildBaseSources(): Promise<string[]> {
  const versions = [await run('node', ['--version']), await run('npm', ['--version'])]
  const certificates = existsSync(CERTIFICATES) ? readFileSync(CERTIFICATES, 'utf8') : ''
  return [await imageId(BASE), ...versions, certificates]
}

async function makeBase(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'sonoma-trixie-'))
  try {
    await run('debootstrap', [...DEBOOTSTRAP, folder])
    for (const waste of ['var/cache/apt/archives', 'var/lib/apt/lists'])
      await rm(join(folder, waste), { recursive: true })
    await fromContainer('scratch', BASE, (container) => run('buildah', ['add', '-q', container, folder, '/']))
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** The build stage needs Node and npm, and the certificates that this machine trusts. */
async function makeBuildBase(): Promise<void> {
  const node = await run('node', ['-p', 'process.execPath'])
  const npm = dirname(dirname(await realpath((await run('which', ['npm'])).trim())))
  await fromContainer(BASE, BUILD_BASE, async (container) => {
    await run('buildah', ['copy', '-q', container, node, '/usr/local/bin/node'])
    await run('buildah', ['copy', '-q', container, npm, '/usr/local/lib/node_modules/npm'])
    if (existsSync(CERTIFICATES)) await run('buildah', ['copy', '-q', container, CERTIFICATES, CERTIFICATES])
    const link = ['ln', '-s', '../lib/node_modules/npm/bin/npm-cli.js', '/usr/local/bin/npm']
    await run('buildah', ['run', '--isolation', 'chroot', container, '--', ...link])
    await run('buildah', ['config', '--env', `NODE_EXTRA_CA_CERTS=${CERTIFICATES}`, container])
  })
}

async function fromContainer(base: string, name: string, fill: (container: string) => Promise<unknown>): Promise<void> {
  const container = await run('buildah', ['from', '--pull-never', base])
  try {
    await fill(container)
    await run('buildah', ['commit', '-q', container, name])
  } finally {
    await run('buildah', ['rm', container])
  }
}
