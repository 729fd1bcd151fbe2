import { parseArgs } from 'node:util'
import manifest from '../package.json' with { type: 'json' }

/** What the manifests are made for. */
export type InstallOptions = {
  /** The release: a label of what is installed. */
  version: string
  /** The namespace that the operator runs in. */
  namespace: string
  /** The image of the operator, and of the service where an instance names none. */
  image: string
  /** The image of managed databases and of tasks. */
  postgresImage: string
  pullPolicy: string
  /** The Secrets that the operator's image is pulled with; they have to be in its namespace. */
  pullSecrets: string[]
  /** The namespaces that the operator looks after, by Roles in each; empty: all, by one ClusterRole. */
  watchNamespaces: string[]
  /** How many instances may change at a time because of a new release of the operator; empty: its own default. */
  maxConcurrentRollouts: string
}

/** What the command asks for; `help` prints and makes nothing. */
export type Command = { help: boolean; out: string; install: InstallOptions }

/** One option: its environment variable, its default and its meaning. */
type Option = { variable: string; default: string; pattern: RegExp; allowed: string; meaning: string }

const LABEL = '[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?'
const SECRET = '[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?'
const IMAGE: Pick<Option, 'pattern' | 'allowed'> = {
  pattern: /^[\w.:/@-]{1,500}$/,
  allowed: 'the name of a container image',
}

const OPTIONS = {
  out: {
    variable: 'MANIFESTS_DIR',
    default: 'dist',
    pattern: /^.+$/,
    allowed: 'the path of a folder',
    meaning: 'Where the files go.',
  },
  image: {
    variable: 'SERVICE_IMAGE',
    default: `sonoma-storage:${manifest.version}`,
    ...IMAGE,
    meaning: 'Image of the operator, and of the service where an instance names none.',
  },
  'postgres-image': {
    variable: 'POSTGRES_IMAGE',
    default: `sonoma-storage-postgres:${manifest.version}`,
    ...IMAGE,
    meaning: 'Image of managed databases and of tasks.',
  },
  'pull-policy': {
    variable: 'PULL_POLICY',
    default: 'IfNotPresent',
    pattern: /^(Always|IfNotPresent|Never)$/,
    allowed: 'Always, IfNotPresent or Never',
    meaning: "When the operator's image is pulled.",
  },
  'pull-secrets': {
    variable: 'PULL_SECRETS',
    default: '',
    pattern: new RegExp(`^(${SECRET}(,${SECRET})*)?$`),
    allowed: 'names of Secrets with commas between them',
    meaning:
      "Secrets of the operator's namespace that its image is pulled with. Instances name their own in image.pullSecrets.",
  },
  namespace: {
    variable: 'NAMESPACE',
    default: 'sonoma-storage',
    pattern: new RegExp(`^${LABEL}$`),
    allowed: 'the name of a namespace',
    meaning: 'Namespace that the operator runs in; it is made.',
  },
  'watch-namespaces': {
    variable: 'WATCH_NAMESPACES',
    default: '',
    pattern: new RegExp(`^(${LABEL}(,${LABEL})*)?$`),
    allowed: 'names of namespaces with commas between them',
    meaning:
      'Namespaces that the operator looks after; they must exist. It gets a Role in each and no right outside of them. None: all namespaces, by a ClusterRole.',
  },
  'max-concurrent-rollouts': {
    variable: 'MAX_CONCURRENT_ROLLOUTS',
    default: '',
    pattern: /^([1-9]\d{0,4})?$/,
    allowed: 'a whole number from 1 to 99999',
    meaning:
      'How many instances may change at a time because of a new release of the operator. None: one in twenty, at least one.',
  },
} satisfies Record<string, Option>
type Name = keyof typeof OPTIONS

/** Reads arguments, then environment, then defaults; throws with every wrong value named. */
export function readCommand(args: string[], env: Record<string, string | undefined>): Command {
  const strings = Object.fromEntries(Object.keys(OPTIONS).map((name) => [name, { type: 'string' as const }]))
  const { values } = parseArgs({ args, options: { ...strings, help: { type: 'boolean' } } })
  const problems: string[] = []
  const value = (name: Name): string => {
    const option: Option = OPTIONS[name]
    const text = (values as Partial<Record<Name, string>>)[name] ?? (env[option.variable] || option.default)
    if (!option.pattern.test(text)) problems.push(`--${name}: '${text}' is not allowed; allowed is ${option.allowed}`)
    return text
  }
  const install = {
    version: manifest.version,
    namespace: value('namespace'),
    image: value('image'),
    postgresImage: value('postgres-image'),
    pullPolicy: value('pull-policy'),
    pullSecrets: value('pull-secrets').split(',').filter(Boolean),
    watchNamespaces: value('watch-namespaces').split(',').filter(Boolean),
    maxConcurrentRollouts: value('max-concurrent-rollouts'),
  }
  const out = value('out')
  if (problems.length > 0) throw new Error(problems.join('\n'))
  return { help: values.help === true, out, install }
}

/** What `--help` prints. */
export function helpText(): string {
  const entries = Object.entries<Option>(OPTIONS).map(
    ([name, { variable, default: fallback, meaning }]) =>
      `  --${name} VALUE   (or ${variable})\n      ${meaning}\n      default: ${fallback || 'none'}\n`,
  )
  return `Writes the manifests that install Sonoma Storage: install.yaml (custom resources, namespace, rights, operator) and
monitoring.yaml (ServiceMonitors, for clusters that have Prometheus Operator).

Usage: npm run synth -- [options]
Then:  kubectl apply --server-side -f dist/install.yaml

${entries.join('\n')}`
}
