import { defineConfig, mergeConfig } from 'vitest/config'
import base from '../../vitest.config.ts'

/**
 * The tests of the store and the routes through the PgBouncer that `TEST_POOLER` names. Left out are those whose subject is a
 * direct connection or a server of their own, and laws that run no statement which others do not run.
 */
export default mergeConfig(
  { ...base, test: { ...base.test, include: [], exclude: [] } },
  defineConfig({
    test: {
      include: ['test/app/store/**/*.test.ts', 'test/app/routes/*.test.ts', 'test/conformance/import-export.test.ts'],
      exclude: [
        '**/node_modules/**',
        'test/app/store/connection/**',
        'test/app/store/lost-connection.test.ts',
        'test/app/store/sqlstates.test.ts',
        'test/app/store/**/*{laws,law,model,plans}.test.ts',
        'test/app/store/queue/wait/listener.test.ts',
      ],
      setupFiles: ['test/pooler/record-statements.ts'],
    },
  }),
)
