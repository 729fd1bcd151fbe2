import { chmod, readFile, symlink, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeEach, describe, expect, test, vi } from 'vitest'
import { temporaryFolder } from './temporary.ts'

let fills = 0

/** As another process would ask for it: nothing is remembered. */
async function ask(): Promise<string> {
  vi.resetModules()
  const { cached } = await import('./cache.ts')
  return cached('programs/one-1.0', async (folder) => {
    fills += 1
    await writeFile(join(folder, 'program'), 'echo one', { mode: 0o755 })
    await symlink('program', join(folder, 'link'))
  })
}

const read = async (folder: string) => readFile(join(folder, 'link'), 'utf8')

beforeEach(async () => {
  vi.stubEnv('XDG_CACHE_HOME', await temporaryFolder())
  fills = 0
})

describe('a folder of the cache', () => {
  test('is filled once', async () => {
    expect(await read(await ask())).toBe('echo one')
    expect(await read(await ask())).toBe('echo one')
    expect(fills).toBe(1)
  })

  test.each<[string, (folder: string) => Promise<void>]>([
    ['was cut short', (folder) => truncate(join(folder, 'program'), 4)],
    ['was changed', (folder) => writeFile(join(folder, 'program'), 'echo two')],
    ['may not be executed any more', (folder) => chmod(join(folder, 'program'), 0o644)],
    ['has a file more', (folder) => writeFile(join(folder, 'more'), '')],
  ])('that %s is filled again, whatever its name', async (_what, harm) => {
    await harm(await ask())
    expect(await read(await ask())).toBe('echo one')
    expect(fills).toBe(2)
    await ask()
    expect(fills).toBe(2)
  })

  test('that several fill at a time is whole for all of them', async () => {
    const folders = await Promise.all([ask(), ask(), ask()])
    expect(await Promise.all(folders.map(read))).toEqual(['echo one', 'echo one', 'echo one'])
  })
})
