import { describe, expect, test } from 'vitest'
import { labelsOf, selectorOf, selectorText } from '../../../operator/api/labels.ts'
import { childName, INSTANCE_NAME_LENGTH, type Purpose, RUN_NAME_LENGTH, runName } from '../../../operator/api/names.ts'

import { RUN_KIND_NAMES } from '../../../operator/api/run-kinds.ts'

const PURPOSES: Purpose[] = [
  'api',
  'metrics',
  'db',
  'db-tls',
  'db-backup',
  'db-ca',
  'hash-key',
  'wal',
  'backup',
  'data-99',
]
const STARTED = new Date('2026-11-23T02:15:00.750Z')

describe('names of children', () => {
  test('say the instance and the purpose, and for a run the second of its start in UTC', () => {
    expect(childName('crawl', 'data-1')).toBe('crawl-data-1')
    expect(runName('crawl', 'migrate', STARTED)).toBe('crawl-migrate-20261123021500')
  })

  test('fit into a DNS label for the longest instance, with the hash that a StatefulSet adds to its pods', () => {
    const longest = 'i'.repeat(INSTANCE_NAME_LENGTH)
    const lasting = PURPOSES.map((purpose) => childName(longest, purpose).length + '-0123456789'.length)
    const runs = RUN_KIND_NAMES.map((kind) => runName(longest, kind, STARTED).length)
    expect(Math.max(...lasting, ...runs)).toBeLessThanOrEqual(63)
    expect(`${longest}-20261123021500`.length).toBeLessThanOrEqual(RUN_NAME_LENGTH)
  })
})

describe('labels of children', () => {
  test('hold the selector, whatever the version', () => {
    const selector = selectorOf('crawl', 'api')
    expect(labelsOf('crawl', 'api', '1.2.3')).toMatchObject(selector)
    expect(labelsOf('crawl', 'api', '1.2.3')).toMatchObject(labelsOf('crawl', 'api'))
    expect(selectorText(selector)).toBe(
      'app.kubernetes.io/name=sonoma-storage,app.kubernetes.io/instance=crawl,app.kubernetes.io/component=api',
    )
  })
})
