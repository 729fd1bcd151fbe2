import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { expect, test } from 'vitest'

const ROOT = join(import.meta.dirname, '..')
const pages = globSync(['*.md', 'docs/**/*.md'], { cwd: ROOT })

type Link = { page: string; target: string }

/** Code may look like a link: `[a-z](...)`. */
function withoutCode(page: string): string {
  return readFileSync(join(ROOT, page), 'utf8').replaceAll(/^```[\s\S]*?^```|`[^`\n]*`/gm, '')
}

function linksOf(page: string): Link[] {
  const found = withoutCode(page).matchAll(/\]\(([^)\s]+)\)/g)
  return [...found].map(([, target = '']) => ({ page, target })).filter(({ target }) => !/^[a-z]+:/.test(target))
}

/** The anchors of a page, as they are made from its headings. */
function anchorsOf(page: string): string[] {
  const headings = readFileSync(join(ROOT, page), 'utf8').matchAll(/^#+ (.+)$/gm)
  return [...headings].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}_ -]/gu, '')
      .replaceAll(' ', '-'),
  )
}

function isBroken({ page, target }: Link): boolean {
  const [file = '', anchor] = target.split('#')
  const path = file === '' ? page : normalize(join(dirname(page), file))
  if (!existsSync(join(ROOT, path))) return true
  return anchor !== undefined && path.endsWith('.md') && !anchorsOf(path).includes(anchor)
}

test('every link of a page to a file or a heading leads there', () => {
  const links = pages.flatMap(linksOf)
  expect(links.length).toBeGreaterThan(30)
  expect(links.filter(isBroken)).toEqual([])
})
