import { defineConfig, mergeConfig } from 'vitest/config'
import base from '../../vitest.config.ts'

/** `npm run test:image`: builds the image and runs it as a restricted pod would. */
export default mergeConfig(
  { ...base, test: { ...base.test, include: [], exclude: [] } },
  defineConfig({
    test: {
      include: ['test/image/**/*.test.ts'],
      globalSetup: ['test/image/tools.ts'],
      testTimeout: 60_000,
      hookTimeout: 900_000,
    },
  }),
)
