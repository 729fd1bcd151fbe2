import { globSync, readFileSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { dirname, join, normalize } from 'node:path'
import { describe, expect, test } from 'vitest'

const ROOT = join(import.meta.dirname, '..')
const PROGRAMS = ['app', 'operator', 'migrations', 'cdk8s']
const BUCKETS = /(^|\/)(utils?|helpers?|common|shared|lib|misc)(\/|\.ts$)/
const LIMITS = { fileLines: 400 }

/** What a file imports: paths from the root of the repository for our own files, package names for the rest. */
type Source = { path: string; text: string; imports: string[] }

const sources = PROGRAMS.flatMap((folder) => globSync(`${folder}/**/*.ts`, { cwd: ROOT })).map(readSource)

function readSource(path: string): Source {
  const text = readFileSync(join(ROOT, path), 'utf8')
  const found = text.matchAll(/^\s*(?:import|export)\b[^'"]*?from\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]/gm)
  return { path, text, imports: [...found].map((match) => resolve(path, match[1] ?? match[2] ?? '')) }
}

function resolve(from: string, specifier: string): string {
  if (specifier.startsWith('.')) return normalize(join(dirname(from), specifier))
  if (specifier.startsWith('node:') || builtinModules.includes(specifier))
    return `node:${specifier.replace('node:', '')}`
  return specifier
}

function inFolder(folder: string): Source[] {
  return sources.filter((source) => source.path.startsWith(folder))
}

/** Every import of the files in `folder` that matches `forbidden`, as `file -> import`. */
function offences(folder: string, forbidden: RegExp): string[] {
  return inFolder(folder).flatMap((source) =>
    source.imports
      .filter((specifier) => forbidden.test(specifier))
      .map((specifier) => `${source.path} -> ${specifier}`),
  )
}

const SQL = /\b(SELECT\s+[\w*(]|INSERT\s+INTO|UPDATE\s+\w+[\w.]*\s+SET|DELETE\s+FROM|CREATE\s+(TABLE|INDEX|VIEW))/

describe('the two arrows', () => {
  test('routes reach the database only through the store', () => {
    expect(offences('app/routes/', /^(pg|pg-boss|pg-.*)$|^migrations\//)).toEqual([])
    expect(
      offences('app/routes/', /^app\/(?!routes\/|schemas\/|store\/|json\/|errors\.ts|contract\.ts|plugins\/)/),
    ).toEqual([])
  })

  test('the store knows neither the web nor the metrics', () => {
    expect(offences('app/store/', /^(fastify|@fastify\/.*|prom-client|pino|typebox.*)$/)).toEqual([])
    expect(offences('app/store/', /^app\/(?!store\/|json\/|errors\.ts|contract\.ts)/)).toEqual([])
  })

  test('reading JSON knows nothing of the service but its limits', () => {
    expect(offences('app/json/', /^(?!app\/(json\/|contract\.ts$)|node:)/)).toEqual([])
  })

  test('SQL is written only under app/store, migrations and operator/tasks', () => {
    const elsewhere = sources.filter((source) => !/^(app\/store|migrations|operator\/tasks)\//.test(source.path))
    expect(elsewhere.filter((source) => SQL.test(source.text)).map((source) => source.path)).toEqual([])
  })

  test('pg and pg-boss are imported only under app/store, migrations and operator/tasks', () => {
    const elsewhere = sources.filter((source) => !/^(app\/store|migrations|operator\/tasks)\//.test(source.path))
    const importing = elsewhere.filter((source) => source.imports.some((name) => /^pg(-boss)?$/.test(name)))
    expect(importing.map((source) => source.path)).toEqual(
      ['app/embedded/embedded-postgres.ts'].filter((path) => importing.some((source) => source.path === path)),
    )
  })
})

/** A text without its comments, which may speak of what the code does not do. */
function codeOf(source: Source): string {
  return source.text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '')
}

describe('the operator', () => {
  const PURE = ['operator/desired/', 'operator/plan/', 'operator/reconcile/status.ts']
  const OUTSIDE =
    /^(?!operator\/(api|desired|plan)\/|operator\/(\w+-)*contract\.ts$|operator\/runtime\/durations\.ts$|node:crypto$)/
  const IMPURE = /\b(async|await|fetch)\b|\bDate\.now\b|\bnew Date\(\)|\bprocess\.|\bMath\.random\b/

  test('plans without a look outside: types, operator/api and each other', () => {
    expect(PURE.flatMap((folder) => offences(folder, OUTSIDE))).toEqual([])
  })

  test('plans the same from the same: no clock, no network, no waiting, no chance', () => {
    const impure = PURE.flatMap(inFolder).filter((source) => IMPURE.test(codeOf(source)))
    expect(impure.map((source) => source.path)).toEqual([])
  })

  test('runs on a runtime that knows neither Kubernetes nor PostgreSQL nor the machine', () => {
    expect(offences('operator/runtime/', /^(?!operator\/(runtime|api)\/|croner$|node:crypto$)/)).toEqual([])
  })

  test('knows the client of Kubernetes in operator/kube only', () => {
    const elsewhere = sources.filter((source) => !source.path.startsWith('operator/kube/'))
    const importing = elsewhere.filter((source) => source.imports.some((name) => name.startsWith('@kubernetes/')))
    expect(importing.map((source) => source.path)).toEqual([])
  })

  test('gives its tasks no way to the API server', () => {
    expect(offences('operator/tasks/', /^(@kubernetes\/|cdk8s|operator\/(kube|reconcile|process)\/)/)).toEqual([])
  })

  test('makes every pod of an instance in one place', () => {
    const making = inFolder('operator/').filter((source) =>
      /\b(securityContext|enableServiceLinks)\b/.test(codeOf(source)),
    )
    expect(making.map((source) => source.path)).toEqual(['operator/desired/pod.ts'])
  })

  test('has one definition of its name and of its API group', () => {
    const named = (literal: string) => inFolder('operator/').filter(({ text }) => text.includes(`'${literal}'`))
    const paths = (literal: string) => named(literal).map(({ path }) => path)
    expect(paths('storage.sonoma.dev')).toEqual(['operator/api/labels.ts'])
    // The name of the Lease can be set, and only happens to be the same.
    expect(paths('sonoma-storage-operator').sort()).toEqual(['operator/api/labels.ts', 'operator/contract.ts'])
    const versioned = inFolder('operator/').filter(({ text }) => /'storage\.sonoma\.dev\//.test(text))
    expect(versioned.map(({ path }) => path)).toEqual([])
  })

  test('describes its resources without running anything', () => {
    expect(offences('operator/api/', /^(?!operator\/api\/|typebox$)/)).toEqual([])
  })
})

describe('the manifests', () => {
  test('know of the programs only their contracts and the custom resources', () => {
    const OTHER =
      /^(?!cdk8s(-plus-28)?$|constructs$|cdk8s\/|node:util$|package\.json$|operator\/api\/|(app|operator)\/contract\.ts$)/
    expect(offences('cdk8s/', OTHER)).toEqual([])
  })
})

describe('the house', () => {
  test('migrations know neither program', () => {
    expect(offences('migrations/', /^(app|operator|cdk8s)\//)).toEqual([])
  })

  test('the two programs never import each other', () => {
    expect(offences('app/', /^operator\//)).toEqual([])
    expect(offences('operator/', /^app\//)).toEqual([])
  })

  test('nothing imports a main.ts', () => {
    expect(
      sources.filter((source) => source.imports.some((name) => name.endsWith('/main.ts'))).map((s) => s.path),
    ).toEqual([])
  })

  test('no folder or file is a bucket', () => {
    expect(sources.filter((source) => BUCKETS.test(source.path)).map((source) => source.path)).toEqual([])
  })

  test(`no file is longer than ${LIMITS.fileLines} lines`, () => {
    const long = sources.filter((source) => source.text.split('\n').length > LIMITS.fileLines)
    expect(long.map((source) => source.path)).toEqual([])
  })

  test('nothing is exported that nobody uses, but for what the next features begin with', () => {
    const BEGUN = ['destinationOf', 'intoOf']
    const uses = new Map<string, number>()
    for (const [word] of sources.flatMap((source) => [...codeOf(source).matchAll(/\w+/g)])) {
      uses.set(word, (uses.get(word) ?? 0) + 1)
    }
    const exported = inFolder('operator/').flatMap((source) => [
      ...source.text.matchAll(/^export (?:async )?(?:const|function|class|type) (\w+)/gm),
    ])
    const unused = exported.map(([, name = '']) => name).filter((name) => uses.get(name) === 1)
    expect(unused.sort()).toEqual(BEGUN)
  })

  test('every package that is imported is a dependency', () => {
    const { dependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { dependencies: object }
    const packages = sources
      .flatMap((source) => source.imports)
      .filter((name) => !/^(node:|app\/|operator\/|migrations\/|cdk8s\/|package\.json$)/.test(name))
    const names = new Set(
      packages.map((name) =>
        name
          .split('/')
          .slice(0, name.startsWith('@') ? 2 : 1)
          .join('/'),
      ),
    )
    expect([...names].filter((name) => !(name in dependencies))).toEqual([])
  })
})
