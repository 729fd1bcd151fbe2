/** Global set-up of the image tests: the tools that build and run an image, from Debian where they are missing. */
import { run, tryRun } from './command.ts'

const TOOLS = { buildah: 'buildah', debootstrap: 'debootstrap', runc: 'runc' }

/** Installs what is missing; needs root on a Debian system, and says so in one sentence where it is not. */
export default async function setUp(): Promise<void> {
  const missing: string[] = []
  for (const [tool, debianPackage] of Object.entries(TOOLS)) {
    if ((await tryRun('which', [tool])).code !== 0) missing.push(debianPackage)
  }
  if (process.getuid?.() !== 0)
    throw new Error('Building and running the image here needs root; run `docker build .` instead.')
  if (missing.length === 0) return
  await run('apt-get', ['install', '-y', '--no-install-recommends', ...missing])
}
