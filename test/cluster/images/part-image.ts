import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { run, tryRun } from '../../image/command.ts'
import { type Archive, archiveOf } from './archive.ts'

const LABEL = 'dev.sonoma.storage.source'

/** The image of an upstream program, as the manifests name it. */
export function partImage(name: string): string {
  return `localhost/sonoma-cluster/${name}:dev`
}

/** Makes the image of one static program: nothing else is in it. */
export async function makePartImage(name: string, binary: string): Promise<Archive> {
  const image = partImage(name)
  const source = basename(dirname(binary))
  const format = `{{index .OCIv1.Config.Labels "${LABEL}"}}`
  const made = await tryRun('buildah', ['inspect', '--type', 'image', '--format', format, image])
  if (made.stdout.trim() !== source) await build(image, binary, source)
  return archiveOf(image)
}

async function build(image: string, binary: string, source: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'sonoma-part-'))
  const file = join(folder, 'Containerfile')
  const lines = ['FROM scratch', `COPY ${basename(binary)} /program`, 'USER 65532:65532', 'ENTRYPOINT ["/program"]']
  try {
    await writeFile(file, lines.join('\n'))
    const how = ['--isolation', 'chroot', '--network', 'host', '--label', `${LABEL}=${source}`]
    await run('buildah', ['bud', '-q', ...how, '-t', image, '-f', file, dirname(binary)])
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
