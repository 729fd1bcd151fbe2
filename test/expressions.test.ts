import { globSync, readFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { join } from 'node:path'
import { createContext, runInContext } from 'node:vm'
import { type Node, parse } from 'acorn'
import { expect, test } from 'vitest'

// An expression that takes quadratic time looks harmless, and stops the service for as long as a caller likes. Each one of
// the programs is run over long texts of every kind; the quadratic ones would take hours.
const ROOT = join(import.meta.dirname, '..')
const LENGTH = 1_000_000
const TIMEOUT_MS = 10_000
const PIECES = [
  ...'a0A \t\n/:@"\'-.,;=_%\\{([<#?&é',
  'a:',
  'a.',
  'a ',
  ' =',
  '0.',
  'a@',
  '://',
  'a://',
  '" ',
  ', ',
  '; ',
  '- ',
]
// What many of them begin with, so that a text gets past it.
const BEGINNINGS = [
  '',
  'bearer ',
  'x://',
  'https://',
  '"',
  '0',
  '2026-01-31T12:00:00.',
  'system:serviceaccount:',
  '--x',
  'a[',
  ':',
]

type Expression = { place: string; source: string; flags: string }

/** Every regular expression that is written in the code of the service and the operator. */
function expressions(): Expression[] {
  const found = new Map<string, Expression>()
  for (const path of globSync('{app,operator}/**/*.ts', { cwd: ROOT })) {
    const code = stripTypeScriptTypes(readFileSync(join(ROOT, path), 'utf8'))
    const add = ({ regex }: { regex?: { pattern: string; flags: string } }) => {
      if (regex)
        found.set(`${regex.pattern}/${regex.flags}`, { place: path, source: regex.pattern, flags: regex.flags })
    }
    visit(parse(code, { ecmaVersion: 'latest', sourceType: 'module' }), add)
  }
  return [...found.values()]
}

function visit(node: Node, onNode: (node: object) => void): void {
  onNode(node)
  for (const value of Object.values(node)) {
    for (const child of Array.isArray(value) ? value : [value]) {
      if (typeof (child as Node | null)?.type === 'string') visit(child as Node, onNode)
    }
  }
}

function textsOf(beginnings: string[]): string[] {
  return beginnings.flatMap((beginning) =>
    PIECES.map((piece) => `${beginning}${piece.repeat(Math.ceil(LENGTH / piece.length))}\0`),
  )
}

const texts = textsOf(['']).concat(
  BEGINNINGS.slice(1).flatMap((beginning) => [
    `${beginning}${'a'.repeat(LENGTH)}\0`,
    `${beginning.repeat(Math.ceil(LENGTH / beginning.length))}\0`,
    `${beginning}${' '.repeat(LENGTH)}\0`,
    `${beginning}${'0'.repeat(LENGTH)}\0`,
  ]),
)

test('the expressions are found', () => {
  expect(expressions().length).toBeGreaterThan(40)
})

test.each(expressions())(
  '/$source/ of $place goes over a million letters in one pass',
  ({ source, flags }) => {
    const context = createContext({ expression: new RegExp(source, flags), text: '' })
    for (const text of texts) {
      context.text = text
      runInContext('text.replace(expression, "")', context, { timeout: TIMEOUT_MS })
    }
  },
  300_000,
)
