import { defineConfig, mergeConfig } from 'vitest/config'
import base from '../../vitest.config.ts'

const documents = [
  'change/patch',
  'import/import',
  'read/list',
  'read/read',
  'write/enqueue',
  'write/strict',
  'write/write',
]
const queue = [
  'admin/admin',
  'definition/catalog',
  'polite/host-settings',
  'pop/pop',
  'push/push',
  'queue-items-view',
  'settle/settle',
  'upkeep/sizes',
]

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
