import { execFile } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
import { copyFile, mkdir, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { folderOfNode20, foldersOfMachine } from '../support/node-20.ts'
import { temporaryFolder } from '../support/temporary.ts'

const CHECKOUT = join(import.meta.dirname, '../..')
const PROGRAMS = ['app', 'cdk8s', 'docs', 'migrations', 'operator']

/** A checkout as it is cloned, with no packages. */
async function clone(): Promise<string> {
  const folder = await temporaryFolder()
  await copyFile(join(CHECKOUT, 'package.json'), join(folder, 'package.json'))
  for (const name of PROGRAMS) await symlink(join(CHECKOUT, name), join(folder, name))
  return folder
}

/** A script of npm on Node 20: its exit code and what it wrote. */
async function npm(folder: string, args: string[]): Promise<{ code: unknown; output: string }> {
  const env = { PATH: [await folderOfNode20(), ...foldersOfMachine()].join(':'), HOME: await temporaryFolder() }
  return new Promise((resolve) => {
    execFile('npm', args, { cwd: folder, env }, (error, stdout, stderr) =>
      resolve({ code: error?.code ?? 0, output: stdout + stderr }),
    )
  })
}

test.each(['start', 'run serve', 'run operator', 'run migrate', 'run synth', 'run crawl'])(
  'npm %s before npm ci says what to do',
  { timeout: 30_000 },
  async (script) => {
    const { code, output } = await npm(await clone(), script.split(' '))
    expect(output).toContain('run "npm ci" first')
    expect(output).not.toContain('    at ')
    expect(code).toBe(2)
  },
)

test('packages without a Node that reads TypeScript are told as well', { timeout: 30_000 }, async () => {
  const folder = await clone()
  await mkdir(join(folder, 'node_modules'))
  await symlink(join(CHECKOUT, 'node_modules/pg'), join(folder, 'node_modules/pg'))
  const { code, output } = await npm(folder, ['start'])
  expect(output).toContain('Node 24 is needed')
  expect(code).toBe(2)
})

test.each(['serve', 'operator'])('npm run %s -- --help works on Node 20', { timeout: 30_000 }, async (script) => {
  const { code, output } = await npm(CHECKOUT, ['run', script, '--', '--help'])
  expect(output).toContain(`Usage: npm run ${script} [-- --help`)
  expect(code).toBe(0)
})

test('no page has the Node of the machine run TypeScript, which Node 20 cannot', () => {
  const pages = globSync(['*.md', 'docs/**/*.md'], { cwd: CHECKOUT })
  const wrong = pages.filter((page) => /\bnode [\w./-]+\.ts\b/.test(readFileSync(join(CHECKOUT, page), 'utf8')))
  expect(wrong).toEqual([])
})
