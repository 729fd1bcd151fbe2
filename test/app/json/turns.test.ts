import { setImmediate as nextIteration } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { isTurnOver, nextTurn } from '../../../app/json/turns.ts'

function work(ms: number): void {
  const until = performance.now() + ms
  while (performance.now() < until);
}

test('all that works in one turn of the event loop has ten milliseconds together', async () => {
  await nextIteration()
  expect(isTurnOver()).toBe(false)
  work(11)
  expect(isTurnOver()).toBe(true)
  await Promise.resolve()
  expect(isTurnOver()).toBe(true)
  await nextTurn()
  expect(isTurnOver()).toBe(false)
})

test('what waits goes on in its order, one in each turn', async () => {
  const order: string[] = []
  let turns = 0
  const count = () => {
    turns += 1
    if (turns < 20) setImmediate(count)
  }
  setImmediate(count)
  const wait = async (name: string) => {
    await nextTurn()
    order.push(`${name} ${turns}`)
  }
  await Promise.all(['a', 'b', 'c'].map(wait))
  expect(order.map((entry) => entry.slice(0, 1))).toEqual(['a', 'b', 'c'])
  expect(new Set(order.map((entry) => entry.slice(2))).size).toBe(3)
})

test('a piece of work that waited counts from its beginning, so that the next one waits', async () => {
  let turn = 0
  const count = () => {
    turn += 1
    if (turn < 1_000) setImmediate(count)
  }
  setImmediate(count)
  const turns: number[] = []
  for (let piece = 0; piece < 6; piece += 1) {
    if (isTurnOver()) await nextTurn()
    turns.push(turn)
    work(11)
  }
  expect(new Set(turns).size, `the pieces were done in the turns ${turns}`).toBe(turns.length)
})
