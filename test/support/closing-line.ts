import { writeSync } from 'node:fs'
import type { Reporter, SerializedError, TestModule } from 'vitest/node'

/** Ends the output of a run with one line, `N passed, N failed`. What fails outside of a test (a file, a hook) counts as failed. */
export default class ClosingLine implements Reporter {
  #passed = 0
  #failed = 0

  onInit(): void {
    // Other reporters write after the end of the run, so only the exit of the process is late enough.
    process.once('exit', (code) => {
      // A tear-down that fails ends the run with a code only.
      const failed = this.#failed || Number(code !== 0)
      writeSync(1, `${this.#passed} passed, ${failed} failed\n`)
    })
  }

  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly SerializedError[]): void {
    this.#passed = count(modules.flatMap((module) => [...module.children.allTests('passed')]))
    const tests = count(modules.flatMap((module) => [...module.children.allTests('failed')]))
    const suites = modules.flatMap((module) => [module, ...module.children.allSuites()])
    this.#failed = tests + suites.filter((suite) => suite.errors().length > 0).length + unhandled.length
  }
}

function count(tests: unknown[]): number {
  return tests.length
}
