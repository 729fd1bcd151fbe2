import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  before,
  type Cursor,
  decodeCursor,
  encodeCursor,
  isEarlier,
} from '../../../../../app/store/documents/changes/cursor.ts'
import { resume } from '../../../../../app/store/documents/changes/resume.ts'
import type { FeedState } from '../../../../../app/store/documents/changes/state.ts'

const FILTER_LISTS = [{}, { status: 'a' }, { host: 'a' }, { status: 'a', contentType: 'b' }]
const LIFE = '0123456789abcdef'
const xid = (max = 1_000n) => fc.bigInt({ min: 0n, max }).map(String)
const cursor: fc.Arbitrary<Cursor> = fc.record({
  life: fc.constant(LIFE),
  timeline: fc.integer({ min: 1, max: 4 }),
  xid: xid(),
  id: fc.uuid(),
  since: xid(),
})
const state: fc.Arbitrary<FeedState> = fc.record({
  life: fc.constant(LIFE),
  timeline: fc.integer({ min: 1, max: 5 }),
  timelines: fc.uniqueArray(fc.record({ timeline: fc.integer({ min: 1, max: 5 }), xid: xid() }), {
    selector: ({ timeline }) => timeline,
  }),
  horizon: xid(),
  next: fc.constant('2000'),
  expired: xid(300n),
  isHeldBack: fc.boolean(),
})

describe('a cursor', () => {
  test('is read as it was written, and with no other filters', () => {
    fc.assert(
      fc.property(
        cursor,
        fc.constantFrom(...FILTER_LISTS),
        fc.constantFrom(...FILTER_LISTS),
        (one, filters, others) => {
          const text = encodeCursor(one, filters)
          expect(decodeCursor(text, filters)).toEqual(one)
          if (filters !== others) expect(() => decodeCursor(text, others)).toThrow(/cursor/)
        },
      ),
    )
  })

  test('that was changed, or made up, is refused, or says what it is read as to the letter', () => {
    const junk = fc.oneof(
      fc.string({ maxLength: 200 }),
      fc.json().map((text) => Buffer.from(text).toString('base64url')),
      fc.array(fc.oneof(fc.string(), fc.integer(), fc.constant(1)), { maxLength: 8 }).map(toText),
      fc.tuple(cursor, fc.nat(), fc.string({ minLength: 1, maxLength: 3 })).map(([one, at, text]) => {
        const whole = encodeCursor(one, {})
        const changed = whole.slice(0, at % whole.length) + text + whole.slice((at % whole.length) + 1)
        return changed === whole ? `${whole}A` : changed
      }),
    )
    fc.assert(
      fc.property(junk, (text) => {
        const read = readOrRefuse(text)
        if (read !== undefined) expect(encodeCursor(read, {})).toBe(text)
      }),
      { numRuns: 2_000 },
    )
  })
})

function readOrRefuse(text: string): Cursor | undefined {
  try {
    return decodeCursor(text, {})
  } catch (error) {
    expect(error).toMatchObject({ code: 'invalid_cursor' })
    return undefined
  }
}

function toText(parts: unknown[]): string {
  return Buffer.from(JSON.stringify(parts)).toString('base64url')
}

describe('going on', () => {
  test('is never behind the cursor; on another timeline never behind what is known not to be lost', () => {
    fc.assert(
      fc.property(cursor, state, (one, now) => {
        const place = outcome(one, now)
        if (place === 'cursor_expired') return
        expect(isEarlier(one.xid, place.xid)).toBe(false)
        if (one.timeline === now.timeline) {
          expect(place).toMatchObject({ xid: one.xid, id: one.id, since: one.since })
          return
        }
        const known = now.timelines.filter(({ timeline }) => timeline <= one.timeline)
        const newest = known.reduce((last, next) => (next.timeline > last.timeline ? next : last), {
          timeline: 0,
          xid: '0',
        })
        const limit = before(newest.xid)
        expect(isEarlier(limit.xid, place.xid)).toBe(false)
      }),
    )
  })

  test('has no place where deletions after it are gone, on a later timeline, or in another life', () => {
    fc.assert(
      fc.property(cursor, state, (one, now) => {
        const reached = isEarlier(one.xid, one.since) ? one.since : one.xid
        const missed = now.expired !== '0' && !isEarlier(now.expired, reached)
        if (missed || one.timeline > now.timeline) expect(outcome(one, now)).toBe('cursor_expired')
        expect(outcome({ ...one, life: 'f'.repeat(16) }, now)).toBe('cursor_expired')
        expect(outcome({ ...one, timeline: now.timeline, xid: now.next }, now)).toBe('cursor_expired')
      }),
    )
  })
})

function outcome(one: Cursor, now: FeedState) {
  try {
    return resume(one, now)
  } catch (error) {
    return (error as { code: string }).code as 'cursor_expired'
  }
}
