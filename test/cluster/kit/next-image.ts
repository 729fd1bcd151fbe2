import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { run } from '../../image/command.ts'
import { makeProjectImages, SERVICE_IMAGE } from '../images/project-images.ts'
import { provideImages } from '../images/provide.ts'

export type NextMigration = { number: string; name: string; up: string; down: string }

/** Makes an image of a later release of the service, which is this one and some migrations more; answers its tag. */
export async function provideNextImage(name: string, migrations: NextMigration[]): Promise<string> {
  const built = (await makeProjectImages()).find(({ image }) => image === SERVICE_IMAGE)?.built ?? SERVICE_IMAGE
  const folder = await mkdtemp(join(tmpdir(), 'sonoma-next-'))
  const next = `${built}-${name}`
  try {
    // The user of the image has to read what is copied, the folder itself included.
    await chmod(folder, 0o755)
    for (const migration of migrations) await writeMigration(folder, migration)
    const container = await run('buildah', ['from', '--pull-never', built])
    await run('buildah', ['copy', '--chown', '0:0', container, folder, '/srv/migrations/sql'])
    await run('buildah', ['commit', '-q', '--rm', container, next])
    const tag = `dev-${name}`
    await provideImages([{ built: next, image: SERVICE_IMAGE.replace(/:dev$/, `:${tag}`) }], () => undefined)
    return tag
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function writeMigration(folder: string, { number, name, up, down }: NextMigration): Promise<void> {
  const files = join(folder, `${number}_${name}`)
  await mkdir(files, { mode: 0o755 })
  await writeFile(join(files, 'up.sql'), up)
  await writeFile(join(files, 'down.sql'), down)
}
