import { createHash } from 'node:crypto'
import { basename, dirname } from 'node:path'
import { run } from '../../image/command.ts'
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
    const how = ['--isolation', 'chroot', '--network', 'host', '-t', image, '-f', '-']
    await run('buildah', ['bud', '-q', ...how, dirname(binary)], { input: lines.join('\n') })
    await noteSource(image, source)
  }
  return { built: image, image }
}
