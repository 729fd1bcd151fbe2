import { CONDITION_TYPES } from '../conditions.ts'
import { CRDS, type CustomResourceDefinition, type PrinterColumn } from '../crds.ts'
import { ANNOTATIONS } from '../labels.ts'
import { OWNED_ENVIRONMENT, OWNED_PARAMETER_PREFIXES, OWNED_PARAMETERS } from '../owned-settings.ts'
import { REASONS } from '../reasons.ts'
import { fieldRows, fieldTable } from './fields.ts'
import { ruleLines } from './rules.ts'

const INTRODUCTION = `# The custom resources

Made from the schemas by \`npm run docs:resources\`; the same words are in \`kubectl explain si.spec\`.

\`spec: {}\` is a useful StorageInstance (\`docs/samples/storageinstance-minimal.yaml\`);
\`docs/samples/storageinstance-full.yaml\` has every part once. Defaults are filled in by the API server, and nothing but
your own appliers ever writes to a spec. A typing error is refused with the field's name by \`kubectl apply\` and by
server-side apply.

- **Durations** are a number and one unit: \`90s\`, \`10m\`, \`2h\`, \`30d\`; where locks are meant, \`200ms\` too.
- **Quantities** are those of Kubernetes: \`500m\` of a core, \`512Mi\`, \`10Gi\`.
- **Schedules** are five fields of cron in the time zone beside them; \`""\` is never, or as the field says.
- **Unions** (\`database\`, \`backup.destination\`, \`target\`, \`into\`) take at most one member and have no default in the
  schema, so that they can be switched by both kinds of apply. Without a member the first one counts.
- **Lists by a key** (\`queues\` by name, for instance) can be owned entry by entry by several appliers.
- **Names** begin with a letter, hold \`a-z\`, \`0-9\` and \`-\`, and are at most 36 characters for an instance and 52 for a
  backup or restore, because the names of children add to them.

## Annotations of a StorageInstance

| annotation | meaning |
|---|---|
| \`${ANNOTATIONS.run}: migrate-<token>\` | Asks for a migration run now; the same token asks once. |
| \`${ANNOTATIONS.run}: maintain-<token>\` | Asks for a maintenance run now. |
| \`${ANNOTATIONS.confirmDelete}: <name>\` | Confirms \`deletionPolicy: Delete\`; without it the data is kept. |`

/** docs/storageinstance.md: everything that can be said of the resources, from their schemas. */
export function resourcesDocument(): string {
  const parts = [INTRODUCTION, ...CRDS.map(kindSection), ownedSection(), conditionsSection(), reasonsSection()]
  return `${parts.join('\n\n')}\n`
}

function kindSection({ spec }: CustomResourceDefinition): string {
  const { kind, shortNames } = spec.names
  const version = spec.versions[0]
  if (version === undefined) return ''
  const schema = version.schema.openAPIV3Schema
  const part = (name: string) => fieldTable(fieldRows(schema.properties?.[name] ?? {}, ''))
  return [
    `## ${kind}`,
    `${schema.description} Short name: \`${[shortNames].flat().join()}\`.`,
    `### ${kind}: spec`,
    part('spec'),
    `### ${kind}: what is refused`,
    'Beside wrong types and values:',
    ruleLines(schema, '').join('\n'),
    `### ${kind}: status`,
    part('status'),
    `### ${kind}: columns of kubectl get`,
    columnTable(version.additionalPrinterColumns),
  ].join('\n\n')
}

function columnTable(columns: PrinterColumn[]): string {
  const rows = columns.map(
    ({ name, description, jsonPath, priority }) =>
      `| ${name.toUpperCase()}${priority === 1 ? ' (`-o wide`)' : ''} | ${description} | \`${jsonPath}\` |`,
  )
  return ['| column | meaning | from |', '|---|---|---|', ...rows].join('\n')
}

function ownedSection(): string {
  const list = (names: readonly string[]) => names.map((name) => `\`${name}\``).join(', ')
  return `## What the operator owns

PostgreSQL settings that \`database.managed.parameters\` may not name, in upper or lower case: ${list(OWNED_PARAMETERS)},
and every one that begins with ${list(OWNED_PARAMETER_PREFIXES)}.

Environment variables that \`api.podTemplate.env\` may not name: ${list(OWNED_ENVIRONMENT)}.`
}

function conditionsSection(): string {
  return `## Conditions

${CONDITION_TYPES.map((type) => `\`${type}\``).join(', ')}. A condition whose feature is not set up is absent, and Ready does
not wait for it. \`kubectl wait --for=condition=Ready si/<name>\` and every tool that reads kstatus understand them.`
}

function reasonsSection(): string {
  const rows = Object.entries(REASONS).map(([reason, meaning]) => `| \`${reason}\` | ${meaning} |`)
  return `## Reasons

One closed list for conditions, events, logs and metrics.

| reason | meaning |
|---|---|
${rows.join('\n')}`
}
