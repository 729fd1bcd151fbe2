import { createHash } from 'node:crypto'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { tryRun } from '../../image/command.ts'
import { cached, cachePath, isCached } from '../../support/cache.ts'
import { CACHE, ROOT } from '../place.ts'
import { Refusal } from '../refusal.ts'
import { checkDisk } from './disk.ts'
import { KUBERNETES, type Part } from './parts.ts'

const MODULES = join(ROOT, 'test', 'cluster', 'parts')
const LEAST_FREE_BYTES = 12e9

/** Takes one line for people: what is being done, and how far it is. */
export type Report = (line: string) => void

/** Builds the parts that are not in the cache, or not as they were built, and answers the path of each by its name. */
export async function buildParts(parts: Part[], report: Report): Promise<Map<string, string>> {
  const paths = new Map(parts.map((part) => [part.name, binaryPath(part)]))
  const missing: Part[] = []
  for (const part of parts) if (!(await isCached(folderOf(part)))) missing.push(part)
  if (missing.length === 0) return paths
  await checkGo()
  await checkDisk(CACHE, LEAST_FREE_BYTES)
  for (const [index, part] of missing.entries()) {
    const startedAt = performance.now()
    report(`building ${part.name} (${index + 1} of ${missing.length}) ...`)
    await cached(folderOf(part), (folder) => buildPart(part, join(folder, part.name)))
    report(`  ${part.name} took ${Math.round((performance.now() - startedAt) / 1_000)} s`)
  }
  return paths
}

/** Where the binary of a part is, or will be: the folder's name says what it is made from. */
export function binaryPath(part: Part): string {
  return join(cachePath(folderOf(part)), part.name)
}

function folderOf(part: Part): string {
  return join('cluster', 'bin', `${part.name}-${keyOf(part)}`)
}

async function checkGo(): Promise<void> {
  if ((await tryRun('go', ['version'])).code === 0) return
  throw new Refusal(
    'Go is missing, which the parts of the cluster are built with: install Go 1.26 or newer from https://go.dev/dl, ' +
      'or set KUBECONFIG to a cluster that exists.',
  )
}

async function buildPart(part: Part, target: string): Promise<void> {
  const tags = part.cgoTags ? ['-tags', part.cgoTags] : []
  const flags = ['-trimpath', '-ldflags', linkerFlags(part), ...tags, '-o', target]
  const env = { ...process.env, CGO_ENABLED: part.cgoTags ? '1' : '0', GOFLAGS: '-buildvcs=false', GOWORK: 'off' }
  const { code, stderr } = await tryRun('go', ['build', ...flags, part.main], { cwd: join(MODULES, part.module), env })
  if (code !== 0) throw new Error(`${part.name} could not be built:\n${stderr.slice(-2_000)}`)
}

function keyOf(part: Part): string {
  const folder = join(MODULES, part.module)
  const hash = createHash('sha256').update([part.main, part.cgoTags, linkerFlags(part), process.arch].join('\n'))
  for (const file of globSync('*', { cwd: folder }).sort()) hash.update(readFileSync(join(folder, file)))
  return hash.digest('hex').slice(0, 12)
}

function linkerFlags(part: Part): string {
  if (!part.versioned) return '-s -w'
  const version = moduleVersion(part.module, KUBERNETES)
  const [, major, minor] = /^v(\d+)\.(\d+)/.exec(version) ?? []
  const variables = { gitVersion: version, gitMajor: major, gitMinor: minor }
  const set = Object.entries(variables).map(([name, value]) => `-X k8s.io/component-base/version.${name}=${value}`)
  return ['-s', '-w', ...set].join(' ')
}

/** The version that the go.mod of `folder` requires of a module. */
export function moduleVersion(folder: string, module: string): string {
  const text = readFileSync(join(MODULES, folder, 'go.mod'), 'utf8')
  const line = text.split('\n').find((candidate) => candidate.trim().startsWith(`${module} v`))
  const version = line?.trim().split(' ')[1]
  if (!version) throw new Error(`${folder}/go.mod does not require ${module}.`)
  return version
}

/** Where the sources of a module are, for the files that it ships beside its program. */
export async function moduleFolder(folder: string, module: string): Promise<string> {
  await checkGo()
  const args = ['mod', 'download', '-json', `${module}@${moduleVersion(folder, module)}`]
  const { code, stdout, stderr } = await tryRun('go', args, { cwd: join(MODULES, folder) })
  if (code !== 0) throw new Error(`${module} could not be fetched:\n${stderr.slice(-1_000)}`)
  return (JSON.parse(stdout) as { Dir: string }).Dir
}
