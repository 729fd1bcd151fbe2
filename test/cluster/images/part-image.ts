import { createHash } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { run } from '../../image/command.ts'
import { CACHE } from '../place.ts'
import type { BuiltImage } from './layout.ts'
import { isMadeFrom, noteSource } from './source.ts'

/** Makes the image of one static program, with nothing else in it. */
export async function makePartImage(name: string, binary: string): Promise<BuiltImage> {
  const image = `localhost/sonoma-cluster/${name}:dev`
  const program = basename(binary)
  const lines = ['FROM scratch', `COPY ${program} /bin/`, 'USER 65532:65532', `ENTRYPOINT ["/bin/${program}"]`]
  // The folder of the binary is named after what it was built from.
  const source = createHash('sha256')
    .update([binary, ...lines].join('\n'))
    .digest('hex')
    .slice(0, 16)
  if (!(await isMadeFrom(image, source))) {
    const file = join(CACHE, 'unfinished', `${name}.containerfile`)
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, lines.join('\n'))
    const how = ['--isolation', 'chroot', '--network', 'host', '-t', image, '-f', file]
    await run('buildah', ['bud', '-q', ...how, dirname(binary)])
    await noteSource(image, source)
  }
  return { built: image, image }
}
