import { describe, expect, test } from 'vitest'
import { checkHistory } from './check-history.ts'
import type { Delivery, DocumentWrite, Event, Outage, Push, Settling } from './history.ts'
import { REMOVING_QUEUE, WORK_QUEUE } from './history.ts'

const LEASE_MS = 3_000

function push(key: string, startedAt: number, outcome: Push['outcome'] = 'created'): Push {
  return { kind: 'push', queue: WORK_QUEUE, key, startedAt, endedAt: startedAt + 5, outcome }
}

/** The receipt is `key/attempt`. */
function deliver(key: string, attempt: number, endedAt: number): Delivery {
  const times = { startedAt: endedAt - 5, endedAt, leaseUntil: endedAt + LEASE_MS }
  return { kind: 'delivery', queue: WORK_QUEUE, key, attempt, receipt: `${key}/${attempt}`, ...times }
}

function settle(receipt: string, startedAt: number, change: Partial<Settling> = {}): Settling {
  return { kind: 'settling', operation: 'ack', receipt, startedAt, endedAt: startedAt + 5, outcome: 'done', ...change }
}

function write(url: string, version: number, change: Partial<DocumentWrite> = {}): DocumentWrite {
  const links = [`${url}#${version}a`, `${url}#${version}b`]
  return { kind: 'document', url, version, links, startedAt: 0, endedAt: 5, outcome: 'stored', ...change }
}

function take(key: string): Event[] {
  return [deliver(key, 1, 50_000), settle(`${key}/1`, 50_100)]
}

function outage(startedAt: number, endedAt: number): Outage {
  return { kind: 'outage', startedAt, endedAt }
}

function rules(events: Event[], documents: [string, number][] = []): string[] {
  return checkHistory({ events, documents: new Map(documents) }).map(({ rule }) => rule)
}

describe('a history that keeps every promise has no violation', () => {
  const good: Record<string, Event[]> = {
    'an acked item': [push('a', 0), deliver('a', 1, 100), settle('a/1', 200)],
    'an ack whose answer was lost': [push('a', 0), deliver('a', 1, 100), settle('a/1', 200, { outcome: 'unanswered' })],
    'that ack did not happen': [
      push('a', 0),
      deliver('a', 1, 100),
      settle('a/1', 200, { outcome: 'unanswered' }),
      deliver('a', 2, 3_200),
      settle('a/2', 3_300),
    ],
    'a push that was never acknowledged and is not there': [push('a', 0, 'unanswered')],
    'one that is there all the same': [push('a', 0, 'unanswered'), deliver('a', 1, 100), settle('a/1', 200)],
    'a nack': [
      push('a', 0),
      deliver('a', 1, 100),
      settle('a/1', 200, { operation: 'nack' }),
      deliver('a', 2, 300),
      settle('a/2', 400),
    ],
    'a lost lease': [
      push('a', 0),
      deliver('a', 1, 100),
      deliver('a', 2, 12_000),
      settle('a/1', 12_100, { outcome: 'stale' }),
      settle('a/2', 12_200),
    ],
    'a lost lease and a long outage': [
      push('a', 0),
      deliver('a', 1, 100),
      outage(1_000, 15_000),
      deliver('a', 2, 22_000),
      settle('a/2', 22_100),
    ],
    'an extended lease': [
      push('a', 0),
      deliver('a', 1, 100),
      settle('a/1', 3_000, { operation: 'extend', leaseUntil: 9_000 }),
      settle('a/1', 8_000),
    ],
    'a removed item': [{ ...push('a', 0), queue: REMOVING_QUEUE }],
  }
  test.each(Object.entries(good))('%s', (_name, events) => {
    expect(rules(events)).toEqual([])
  })

  test('documents with their links', () => {
    const events = [write('u', 1), write('u', 2, { outcome: 'unanswered' }), ...take('u#1a'), ...take('u#1b')]
    expect(rules(events, [['u', 1]])).toEqual([])
  })
})

describe('each broken promise is seen', () => {
  const bad: [string, Event[]][] = [
    ['nothing is made up', [deliver('a', 1, 100), settle('a/1', 200)]],
    ['an acknowledged push is kept', [push('a', 0)]],
    ['an acknowledged push is kept', [push('a', 0, 'duplicate')]],
    ['an acknowledged push is kept', [push('a', 0), deliver('a', 1, 100), settle('a/1', 200, { outcome: 'stale' })]],
    ['an acknowledged ack is the end', [push('a', 0), ...take('a'), deliver('a', 2, 54_000)]],
    ['one lease at a time', [push('a', 0), deliver('a', 1, 100), deliver('a', 2, 3_000), settle('a/2', 3_050)]],
    ['one lease at a time', [push('a', 0), deliver('a', 1, 100), deliver('a', 1, 4_000), settle('a/1', 4_050)]],
    ['a lost lease comes back', [push('a', 0), deliver('a', 1, 100), deliver('a', 2, 13_200), settle('a/2', 13_300)]],
    ['a stale receipt settles nothing', [push('a', 0), deliver('a', 1, 100), settle('a/1', 3_200)]],
    ['a receipt is always known', [push('a', 0), deliver('a', 1, 100), settle('a/1', 200, { outcome: 'unknown' })]],
    [
      'a stale receipt settles nothing',
      [push('a', 0), deliver('a', 1, 100), settle('a/1', 200, { operation: 'nack' }), settle('a/1', 300)],
    ],
  ]
  test.each(bad)('%s (%#)', (rule, events) => {
    expect(rules(events)).toContain(rule)
  })

  test('a removed item that comes twice', () => {
    const [first] = [{ ...deliver('a', 1, 100), receipt: undefined, leaseUntil: undefined } as unknown as Delivery]
    expect(rules([{ ...push('a', 0), queue: REMOVING_QUEUE }, first, first])).toEqual(['one lease at a time'])
  })

  test('a document that is lost, or older than what was acknowledged', () => {
    const links = [...take('u#1a'), ...take('u#1b')]
    expect(rules([write('u', 1), ...links])).toContain('an acknowledged document is kept')
    const events = [write('u', 1), write('u', 2), ...links, ...take('u#2a'), ...take('u#2b')]
    expect(rules(events, [['u', 1]])).toContain('an acknowledged document is kept')
  })

  test('a document without its links, links without their document, and half of them', () => {
    const rule = 'a page and its links are one'
    expect(rules([write('u', 1)], [['u', 1]])).toContain(rule)
    const unanswered = write('u', 1, { outcome: 'unanswered' })
    expect(rules([unanswered], [['u', 1]])).toContain(rule)
    expect(rules([unanswered, ...take('u#1a'), ...take('u#1b')])).toContain(rule)
    expect(rules([unanswered, write('u', 2), ...take('u#1a'), ...take('u#2a'), ...take('u#2b')], [['u', 2]])).toEqual([
      rule,
    ])
  })
})
