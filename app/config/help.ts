import { VARIABLES, type Variable } from './variables.ts'

const USAGE = `Sonoma Storage: documents and queues over HTTP on PostgreSQL.

Usage: npm run serve [-- --help | --version]      (in the image: /srv/app/main.js)

All settings are environment variables. An empty variable is treated as not set. If a value is invalid, the service exits
with code 2. Exit codes: 0 stopped on request, 1 failed or stopped by force, 2 invalid configuration.
`

/** What `--help` prints: usage, and each variable with its default and what is allowed. */
export function helpText(): string {
  return `${USAGE}\n${entries().map(helpEntry).join('\n')}`
}

/** The table of docs/configuration.md. */
export function variablesTable(): string {
  const rows = entries().map(
    ([name, variable]) =>
      `| \`${name}\` | ${shownDefault(variable)} | ${allowed(variable)} | ${variable.description}${secretNote(variable)} |`,
  )
  return ['| variable | default | allowed | meaning |', '|---|---|---|---|', ...rows].join('\n')
}

function entries(): [string, Variable<unknown>][] {
  return Object.entries<Variable<unknown>>(VARIABLES)
}

function helpEntry([name, variable]: [string, Variable<unknown>]): string {
  const lines = [
    `${variable.description}${secretNote(variable)}`,
    `default: ${shownDefault(variable)}`,
    `allowed: ${allowed(variable)}`,
  ]
  return `  ${name}\n${lines.map((line) => `      ${line.replaceAll('`', '')}\n`).join('')}`
}

function shownDefault(variable: Variable<unknown>): string {
  return variable.default === undefined ? (variable.otherwise ?? 'none') : `\`${variable.default}\``
}

function allowed(variable: Variable<unknown>): string {
  return variable.kind.allowed
}

function secretNote(variable: Variable<unknown>): string {
  return variable.secret ? ' Secret: never shown in messages or logs.' : ''
}
