import { CONDITION_TYPES, RESERVED_CONDITION_TYPES } from '../conditions.ts'
import { CRDS, type CustomResourceDefinition, type PrinterColumn } from '../crds.ts'
import { ANNOTATIONS } from '../labels.ts'
import { NOT_IMPLEMENTED_NOTE, withNote } from '../not-implemented.ts'
import {
  OWNED_DATABASE_ENVIRONMENT,
  OWNED_ENVIRONMENT,
  OWNED_ENVIRONMENT_PREFIX,
  OWNED_PARAMETER_PREFIXES,
  OWNED_PARAMETERS,
  OWNED_TASK_ENVIRONMENT,
} from '../owned-settings.ts'
import { REASONS, RESERVED_REASONS } from '../reasons.ts'
import { fieldRows, fieldTable } from './fields.ts'
import { ruleLines } from './rules.ts'

const INTRODUCTION = `# The custom resources

This page is generated from the schemas by \`npm run docs:resources\`. \`kubectl explain si.spec\` shows the same text.

\`spec: {}\` is a useful StorageInstance (\`docs/samples/storageinstance-minimal.yaml\`).
\`docs/samples/storageinstance-full.yaml\` sets every part of the spec once. The API server fills in the defaults; the
operator never writes to a spec. \`kubectl apply\` and server-side apply reject unknown fields by name.

- **Not implemented yet**: fields, columns and kinds with the note "${NOT_IMPLEMENTED_NOTE}" are validated and stored, but
  the operator does not read or write them. Backups, restores and maintenance (except its window) are among them: the conditions of a
  StorageBackup or StorageRestore say that nothing is done.
- **Durations** are a number and a unit: \`90s\`, \`10m\`, \`2h\`, \`30d\`. Lock timeouts also accept milliseconds: \`200ms\`.
- **Quantities** are Kubernetes quantities: \`500m\` (of a CPU), \`512Mi\`, \`10Gi\`.
- **Schedules** have the five fields of cron and use the time zone next to them. \`""\` means never, unless the field says
  otherwise.
- **Unions** (\`database\`, \`backup.destination\`, \`target\`, \`into\`) accept at most one member. If none is set, the first
  one applies. They have no default in the schema, so that both kinds of apply can switch members.
- **Lists with a key** (for example \`queues\`, by name) can be shared by several appliers, each owning some entries.
- **Names** start with a letter and contain only \`a-z\`, \`0-9\` and \`-\`. The name of an instance has at most 36 characters,
  that of a backup or restore at most 52, because they are a part of the names of other objects.`

/** The annotations that people set, with what each does. */
const ANNOTATION_ROWS: [annotation: string, meaning: string][] = [
  [`${ANNOTATIONS.run}: migrate-<token>`, 'Requests a migration run now. Each token requests one run.'],
  [`${ANNOTATIONS.run}: maintain-<token>`, withNote('Requests a maintenance run now.')],
  [`${ANNOTATIONS.confirmDelete}: <name>`, 'Confirms `deletionPolicy: Delete`. Without it, the data is kept.'],
  [
    `${ANNOTATIONS.takeOver}: <cluster>/<namespace>/<name>`,
    'Takes the database over from this owner, which the condition `DatabaseClaimed` names. Applies to no other owner.',
  ],
]

/** docs/storageinstance.md: the reference of the resources, from their schemas. */
export function resourcesDocument(): string {
  const parts = [
    INTRODUCTION,
    annotationsSection(),
    ...CRDS.map(kindSection),
    ownedSection(),
    conditionsSection(),
    reasonsSection(),
  ]
  return `${parts.join('\n\n')}\n`
}

function annotationsSection(): string {
  const rows = ANNOTATION_ROWS.map(([annotation, meaning]) => `| \`${annotation}\` | ${meaning} |`)
  return ['## Annotations of a StorageInstance\n', '| annotation | meaning |', '|---|---|', ...rows].join('\n')
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
    `### ${kind}: validation rules`,
    'In addition to types and allowed values, the API server checks these rules:',
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
  return `## Settings that the operator owns

\`database.managed.parameters\` must not contain these PostgreSQL settings, in upper or lower case:

${codeList(OWNED_PARAMETERS)},
and all settings that start with ${codeList(OWNED_PARAMETER_PREFIXES)}.

\`api.podTemplate.env\` must not contain these environment variables:

${codeList(OWNED_ENVIRONMENT)}.

\`database.managed.podTemplate.env\` must not contain ${codeList(OWNED_DATABASE_ENVIRONMENT)},
\`tasks.podTemplate.env\` must not contain ${codeList(OWNED_TASK_ENVIRONMENT)},
and neither may contain a variable that starts with ${codeList([OWNED_ENVIRONMENT_PREFIX])}.`
}

function conditionsSection(): string {
  return `## Conditions

${codeList(CONDITION_TYPES)}.

A condition is absent as long as it does not apply; \`Ready\` does not wait for it. Use
\`kubectl wait --for=condition=Ready si/<name>\`, or any tool that understands kstatus.

Not set yet: ${codeList(RESERVED_CONDITION_TYPES)}.`
}

function codeList(names: readonly string[]): string {
  return names.map((name) => `\`${name}\``).join(', ')
}

function reasonsSection(): string {
  const emitted = Object.entries(REASONS).map(([reason, meaning]) => reasonRow(reason, meaning))
  const reserved = Object.entries(RESERVED_REASONS).map(([reason, meaning]) =>
    reasonRow(reason, `Not emitted yet. ${meaning}`),
  )
  return ['## Reasons\n', REASONS_INTRODUCTION, '| reason | meaning |', '|---|---|', ...emitted, ...reserved].join('\n')
}

const REASONS_INTRODUCTION = 'Conditions, events and logs use this fixed list of reasons.\n'

function reasonRow(reason: string, meaning: string): string {
  return `| \`${reason}\` | ${meaning} |`
}
