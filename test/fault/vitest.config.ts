import { defineConfig, mergeConfig } from 'vitest/config'
import base from '../../vitest.config.ts'
import { faultTests } from './files.ts'

/**
 * `npm run test:fault`: the tests that break things, whole: 100 kills, 5,000 mutated requests. `TEST_FORM=short` runs them as
 * `npm test` does, one after the other.
 */
export default mergeConfig(
  { ...base, test: { ...base.test, include: [] } },
  defineConfig({
    test: {
      include: faultTests,
      env: { TEST_FORM: process.env.TEST_FORM ?? 'long' },
      fileParallelism: false,
      testTimeout: 1_800_000,
    },
  }),
)
