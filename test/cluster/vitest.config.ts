import { defineConfig, mergeConfig } from 'vitest/config'
import base from '../../vitest.config.ts'

/** `npm run test:cluster`: on the cluster of KUBECONFIG, or on one of our own that goes away afterwards unless it was there before. */
export default mergeConfig(
  { ...base, test: { ...base.test, include: [], exclude: [], globalSetup: [] } },
  defineConfig({
    test: {
      include: ['test/cluster/**/*.test.ts'],
      globalSetup: ['test/cluster/set-up.ts'],
      fileParallelism: false,
      testTimeout: 600_000,
      hookTimeout: 600_000,
      teardownTimeout: 120_000,
    },
  }),
)
