import { describe, expect, test } from 'vitest'
import { OwnWrites } from '../../../operator/reconcile/own-writes.ts'
import { instanceOf } from '../plan/world.ts'

const KEY = 'search/crawl'
const version = (resourceVersion: string, uid = 'uid-1') => instanceOf({}, { resourceVersion, uid })

describe('own status writes', () => {
  test('stand for the cache until it has caught up', () => {
    const writes = new OwnWrites()
    writes.note(KEY, version('1'), version('2'))
    writes.note(KEY, version('2'), version('3'))
    expect(writes.newest(KEY, [version('1')])).toEqual([version('3')])
    expect(writes.newest(KEY, [version('2')])).toEqual([version('3')])
    expect(writes.newest(KEY, [version('3')])).toEqual([version('3')])
    expect(writes.newest(KEY, [version('1')])).toEqual([version('1')])
  })

  test('give way to what others have written since', () => {
    const writes = new OwnWrites()
    writes.note(KEY, version('1'), version('2'))
    expect(writes.newest(KEY, [version('7')])).toEqual([version('7')])
    expect(writes.newest(KEY, [version('1')])).toEqual([version('1')])
  })

  test('say nothing of an object that is gone, nor of another one of its name', () => {
    const writes = new OwnWrites()
    writes.note(KEY, version('1'), version('2'))
    expect(writes.newest(KEY, [version('1', 'uid-2')])).toEqual([version('1', 'uid-2')])
    writes.note(KEY, version('1'), version('2'))
    expect(writes.newest(KEY, [])).toEqual([])
    expect(writes.newest('search/other', [version('1')])).toEqual([version('1')])
  })
})

test('are told apart where one reconcile writes several objects', () => {
  const writes = new OwnWrites()
  writes.note(KEY, version('1', 'a'), version('2', 'a'))
  writes.note(KEY, version('1', 'b'), version('3', 'b'))
  const cached = [version('1', 'c'), version('1', 'b'), version('1', 'a')]
  expect(writes.newest(KEY, cached)).toEqual([version('1', 'c'), version('3', 'b'), version('2', 'a')])
  expect(writes.newest(KEY, [version('1', 'a')])).toEqual([version('2', 'a')])
  expect(writes.newest(KEY, [version('1', 'b')])).toEqual([version('1', 'b')])
})
