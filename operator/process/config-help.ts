import { VARIABLES, type Variable } from './config-variables.ts'

const USAGE = `Sonoma Storage's operator: runs the service of each StorageInstance.

Usage: npm run operator [-- --help | --version]      (in the image: /srv/operator/main.js)

All settings are environment variables. An empty variable is treated as not set. If a value is invalid, the operator exits
with code 2. Exit codes: 0 stopped on request, 1 failed, 2 invalid configuration, 3 the lease expired or was taken over:
another replica may lead, and this one wrote nothing more.
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
