import { writeSync } from 'node:fs'
import type { Reporter, SerializedError, TestModule } from 'vitest/node'

/** The continuous integration leaves nothing out: there a skipped test is a failed one. */
const mustRunAll = process.env.CI === 'true'

/**
 * Ends the output of a run with one line, `N passed, N failed`, and `, N skipped` where tests were. What fails outside of a
 * test (a file, a hook) counts as failed; so does, with `CI=true`, a skipped test, and the exit code says so.
 */
export default class ClosingLine implements Reporter {
  #passed = 0
  #failed = 0
  #skipped = 0

  onInit(): void {
    // Other reporters write after the end of the run, so only the exit of the process is late enough.
    process.once('exit', (code) => {
      // A tear-down that fails ends the run with a code only.
      const failed = this.#failed || Number(code !== 0)
      const skipped = this.#skipped > 0 ? `, ${this.#skipped} skipped` : ''
      writeSync(1, `${this.#passed} passed, ${failed} failed${skipped}\n`)
    })
  }

  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly SerializedError[]): void {
    const count = (state: 'passed' | 'failed' | 'skipped') =>
      modules.reduce((sum, { children }) => sum + [...children.allTests(state)].length, 0)
    const suites = modules.flatMap((module) => [module, ...module.children.allSuites()])
    this.#passed = count('passed')
    this.#skipped = count('skipped')
    this.#failed = count('failed') + suites.filter((suite) => suite.errors().length > 0).length + unhandled.length
    if (!mustRunAll || this.#skipped === 0) return
    this.#failed += this.#skipped
    process.exitCode = 1
  }
}
