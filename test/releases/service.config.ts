import { defineConfig, mergeConfig } from 'vitest/config'
import base from '../../vitest.config.ts'

const documents = ['enqueue', 'import', 'list', 'patch', 'read', 'strict', 'write']
const queue = ['catalog', 'hosts', 'pop', 'push', 'queue-items', 'queue-items-view', 'settle', 'sizes']

/**
 * The tests that speak for the service on whatever schema is under it: documents, queues, health. They hold on every later
 * schema without contracts, because a later release runs them on its own.
 */
export default mergeConfig(
  { ...base, test: { ...base.test, include: [] } },
  defineConfig({
    test: {
      include: [
        'test/app/probes.test.ts',
        'test/app/routes/*.test.ts',
        ...documents.map((name) => `test/app/store/documents/${name}.test.ts`),
        ...queue.map((name) => `test/app/store/queue/${name}.test.ts`),
      ],
    },
  }),
)
