import { join } from 'node:path'
import { build } from 'esbuild'

/** A program of the kit and all that it imports as one file of JavaScript, to be run in a pod. */
export async function bundleOf(program: string): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [join(import.meta.dirname, program)],
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    write: false,
  })
  return outputFiles[0]?.text ?? ''
}
