import { defineConfig } from 'vitest/config'
import { faultTests } from './test/fault/files.ts'

const apart = process.env.TEST_FAULT === 'apart' ? faultTests : []

/**
 * `npm test`: everything that needs nothing but this machine. The cluster and the benchmark have commands of their own;
 * tests of test/fault run in their short form here.
 */
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/cluster/**', 'test/image/**', '**/node_modules/**', ...apart],
    globalSetup: ['test/support/postgres.ts'],
    setupFiles: ['test/support/seed-properties.ts', 'test/support/each-file.ts'],
    reporters: ['default', './test/support/closing-line.ts'],
    pool: 'forks',
    isolate: true,
    maxWorkers: 2,
    // They only end what hangs: a busy machine may take its time.
    testTimeout: 120_000,
    hookTimeout: 180_000,
    teardownTimeout: 30_000,
    unstubEnvs: true,
  },
})
