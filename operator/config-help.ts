import { VARIABLES, type Variable } from './config-variables.ts'

const USAGE = `Sonoma Storage's operator: from a StorageInstance to a migrated, running, observed service.

Usage: node operator/main.ts [--help | --version]

Everything is set by environment variables; an empty one is the same as none. A wrong value ends the start with exit
code 2. Exit codes: 0 stopped as asked, 1 failed, 2 wrong configuration, 3 the lease ran out or was taken: another replica
may lead, and nothing was written any more.
`

/** What `--help` prints: usage, and each variable with its default and what is allowed. */
export function helpText(): string {
  return `${USAGE}\n${entries().map(helpEntry).join('\n')}`
}

/** The table of the operator's variables for the documentation. */
export function variablesTable(): string {
  const rows = entries().map(
    ([name, variable]) =>
      `| \`${name}\` | ${shownDefault(variable)} | ${variable.kind.allowed} | ${variable.description} |`,
  )
  return ['| variable | default | allowed | meaning |', '|---|---|---|---|', ...rows].join('\n')
}

function entries(): [string, Variable<unknown>][] {
  return Object.entries<Variable<unknown>>(VARIABLES)
}

function helpEntry([name, variable]: [string, Variable<unknown>]): string {
  const lines = [variable.description, `default: ${shownDefault(variable)}`, `allowed: ${variable.kind.allowed}`]
  return `  ${name}\n${lines.map((line) => `      ${line.replaceAll('`', '')}\n`).join('')}`
}

function shownDefault(variable: Variable<unknown>): string {
  return variable.default === undefined ? (variable.otherwise ?? 'none') : `\`${variable.default}\``
}
