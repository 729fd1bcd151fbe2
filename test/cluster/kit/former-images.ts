import { mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { run } from '../../image/command.ts'
import { makeProjectImages, POSTGRES_IMAGE, SERVICE_IMAGE } from '../images/project-images.ts'
import { provideImages } from '../images/provide.ts'
import { ROOT } from '../place.ts'

/** The images of the operator and of what it runs. */
export type Images = { image: string; postgresImage: string }

/** Makes the images of the commit before the one that added `path`: those of this one, with the programs of that commit. */
export async function provideFormerImages(path: string): Promise<Images> {
  const added = await run('git', ['log', '--diff-filter=A', '--format=%H', '-1', '--', path], { cwd: ROOT })
  if (added === '') throw new Error(`No commit of this clone added ${path}: clone with the whole history.`)
  const folder = await mkdtemp(join(tmpdir(), 'sonoma-former-'))
  try {
    await bundle(`${added}^`, folder)
    const built = await makeProjectImages()
    const images = await Promise.all(
      [SERVICE_IMAGE, POSTGRES_IMAGE].map(async (image) => {
        const base = built.find((one) => one.image === image)?.built ?? image
        await replacePrograms(base, `${base}-former`, join(folder, 'dist'))
        return { built: `${base}-former`, image: image.replace(/:dev$/, ':dev-former') }
      }),
    )
    await provideImages(images, () => undefined)
    return { image: images[0]?.image ?? '', postgresImage: images[1]?.image ?? '' }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** The bundles of a commit, in `dist` of the folder, as the Dockerfile makes them. */
async function bundle(commit: string, folder: string): Promise<void> {
  await run('sh', ['-c', 'git archive "$1" | tar -x -C "$2"', 'sh', commit, folder], { cwd: ROOT })
  await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
  await run('npm', ['run', '--silent', 'bundle'], { cwd: folder })
  const copies = [
    'cp -r node_modules/@fastify/swagger-ui/static dist/app/swagger-ui',
    "find migrations -name '*.sql' -exec cp --parents {} dist/ \\;",
    // The user of the image has to read it.
    'chmod -R a+rX dist',
  ]
  await run('sh', ['-c', copies.join(' && ')], { cwd: folder })
}

async function replacePrograms(base: string, image: string, programs: string): Promise<void> {
  const container = await run('buildah', ['from', '--pull-never', base])
  await run('buildah', ['copy', '--chown', '0:0', container, programs, '/srv'])
  await run('buildah', ['commit', '-q', '--rm', container, image])
}
