import { expect, test } from 'vitest'
import { Gate } from '../../../operator/runtime/gate.ts'
import { settled } from '../../support/fake-clock.ts'

test('lets so many through at a time, in order, and a failure frees its place', async () => {
  const gate = new Gate(2)
  const [begun, ends]: [number[], ((error?: Error) => void)[]] = [[], []]
  const work = (n: number) => () =>
    new Promise<number>((resolve, reject) => {
      begun.push(n)
      ends[n] = (error) => (error ? reject(error) : resolve(n))
    })
  const all = [0, 1, 2, 3].map((n) => gate.pass(work(n)).catch((error: Error) => error.message))
  await settled()
  expect(begun).toEqual([0, 1])
  ends[0]?.(new Error('failed'))
  await settled()
  expect(begun).toEqual([0, 1, 2])
  ends[2]?.()
  ends[1]?.()
  await settled()
  ends[3]?.()
  expect(await Promise.all(all)).toEqual(['failed', 1, 2, 3])
  expect(await gate.pass(async () => 'free')).toBe('free')
})
