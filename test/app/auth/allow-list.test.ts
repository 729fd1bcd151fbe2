import fc from 'fast-check'
import { beforeEach, describe, expect, test } from 'vitest'
import { AllowListReader, accessOf } from '../../../app/auth/allow-list.ts'
import { ACCESS_LEVELS } from '../../../app/contract.ts'

const CRAWLER = { namespace: 'search', name: 'crawler' }
const ENTRY = { namespace: 'search', serviceAccount: 'crawler', access: 'Read' }

let warnings: string[] = []
let reader: AllowListReader

beforeEach(() => {
  warnings = []
  reader = new AllowListReader({ info: () => {}, warn: (_fields, message) => warnings.push(message) })
})

/** What the crawler may do by this list, the service being in its namespace. */
const access = (text: string) => accessOf(CRAWLER, reader.read(text), 'search')

describe('an empty allow list', () => {
  test('that never had an entry allows every account of the own namespace, with Write', () => {
    expect(access('[]')).toBe('Write')
    expect(access(' [ ] ')).toBe('Write')
    expect(accessOf({ namespace: 'web', name: 'crawler' }, reader.read('[]'), 'search')).toBeUndefined()
    expect(warnings).toEqual([])
  })

  test('that had one allows nobody, and the log says so', () => {
    expect(access(JSON.stringify([ENTRY]))).toBe('Read')
    expect(access('[]')).toBeUndefined()
    expect(access('[]')).toBeUndefined()
    expect(warnings[0]).toContain('nobody may call')
    expect(access(JSON.stringify([ENTRY]))).toBe('Read')
  })

  test('after one that was broken is what it was before', () => {
    for (const text of ['', '[', '{}', '[{}]', 'null']) expect(() => reader.read(text)).toThrow()
    expect(access('[]')).toBe('Write')
    expect(access(JSON.stringify([ENTRY]))).toBe('Read')
    expect(() => reader.read('[')).toThrow()
    expect(access('[]')).toBeUndefined()
  })
})

test('once a list had an entry, no list gives an account more than its entries say', () => {
  const entries = fc.array(
    fc.record({
      namespace: fc.constantFrom('search', 'web'),
      serviceAccount: fc.constantFrom('crawler', 'viewer'),
      access: fc.constantFrom(...ACCESS_LEVELS),
    }),
    { maxLength: 4 },
  )
  fc.assert(
    fc.property(fc.array(entries, { minLength: 1 }), (lists) => {
      const silent = new AllowListReader({ info: () => {}, warn: () => {} })
      let wasFilled = false
      for (const list of lists) {
        wasFilled ||= list.length > 0
        const mine = list.filter(
          ({ namespace, serviceAccount }) => `${namespace}/${serviceAccount}` === 'search/crawler',
        )
        const highest = ACCESS_LEVELS.findLast((level) => mine.some((entry) => entry.access === level))
        expect(accessOf(CRAWLER, silent.read(JSON.stringify(list)), 'search')).toBe(wasFilled ? highest : 'Write')
      }
    }),
  )
})
