import { defineConfig, mergeConfig } from 'vitest/config'
import base from '../../vitest.config.ts'
import { isLong } from '../fault/form.ts'

/** They build images of an earlier commit, and so need a clone with its history. */
const NEED_HISTORY = ['test/cluster/operator-provision.test.ts']

/**
 * `npm run test:cluster`: on the cluster of KUBECONFIG, or on one of our own that goes away afterwards unless it was there before.
 * `TEST_FORM=long` runs everything.
 */
export default mergeConfig(
  { ...base, test: { ...base.test, include: [], exclude: [], globalSetup: [] } },
  defineConfig({
    test: {
      include: ['test/cluster/**/*.test.ts'],
      exclude: isLong ? [] : NEED_HISTORY,
      globalSetup: ['test/cluster/set-up.ts'],
      fileParallelism: false,
      testTimeout: 600_000,
      hookTimeout: 600_000,
      teardownTimeout: 120_000,
    },
  }),
)
