import { describe, expect, test } from 'vitest'
import { helpText, readCommand } from '../../cdk8s/options.ts'
import { VARIABLES } from '../../operator/process/config-variables.ts'

describe('the options of the manifests', () => {
  test('have the defaults of the operator, without a registry', () => {
    const { install, out, help } = readCommand([], {})
    expect({ out, help }).toEqual({ out: 'dist', help: false })
    expect(install).toMatchObject({ namespace: 'sonoma-storage', watchNamespaces: [], pullPolicy: 'IfNotPresent' })
    expect(install.image).toBe(VARIABLES.SERVICE_IMAGE.default)
    expect(install.postgresImage).toBe(VARIABLES.POSTGRES_IMAGE.default)
  })

  test('come from arguments before the environment', () => {
    const env = { SERVICE_IMAGE: 'one/storage:1', WATCH_NAMESPACES: 'a,b' }
    expect(readCommand([], env).install).toMatchObject({ image: 'one/storage:1', watchNamespaces: ['a', 'b'] })
    expect(readCommand(['--pull-secrets', 'one,two.b'], {}).install.pullSecrets).toEqual(['one', 'two.b'])
    expect(readCommand(['--max-concurrent-rollouts', '3'], {}).install.maxConcurrentRollouts).toBe('3')
    expect(readCommand(['--image', 'two/storage:2'], env).install.image).toBe('two/storage:2')
  })

  test('are refused with what is allowed, all at once', () => {
    const read = () =>
      readCommand(['--namespace', 'Not_A_Name', '--pull-policy', 'Sometimes', '--pull-secrets', 'A,b'], {})
    expect(read).toThrow("--namespace: 'Not_A_Name' is not allowed; allowed is the name of a namespace")
    expect(read).toThrow("--pull-policy: 'Sometimes' is not allowed; allowed is Always, IfNotPresent or Never")
    expect(read).toThrow("--pull-secrets: 'A,b' is not allowed; allowed is names of Secrets with commas between them")
    expect(() => readCommand(['--max-concurrent-rollouts', '0'], {})).toThrow('a whole number from 1')
    expect(() => readCommand(['--wrong'], {})).toThrow('--wrong')
  })

  test('are all in the help', () => {
    const names = [
      '--out',
      '--image',
      '--postgres-image',
      '--pull-policy',
      '--pull-secrets',
      '--namespace',
      '--watch-namespaces',
      '--max-concurrent-rollouts',
    ]
    for (const name of names) expect(helpText()).toContain(`${name} VALUE`)
  })
})
