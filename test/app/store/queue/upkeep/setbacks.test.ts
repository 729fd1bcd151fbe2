import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Setbacks } from '../../../../../app/store/queue/upkeep/setbacks.ts'

test('what fails is tried again after 1, 2, 4 s and so on, every 30 s at last, and is told once', () => {
  let now = 0
  const setbacks = new Setbacks(() => now)
  const tried: number[] = []
  const told: number[] = []
  for (; now <= 120_000; now += 500) {
    if (!setbacks.isDue('a')) continue
    tried.push(now / 1_000)
    if (setbacks.failed('a')) told.push(now)
  }
  expect(tried).toEqual([0, 1, 3, 7, 15, 31, 61, 91])
  expect(told).toEqual([0])
  setbacks.succeeded('a')
  expect([setbacks.isDue('a'), setbacks.failed('a')]).toEqual([true, true])
})

test('one that fails changes nothing about the others', () => {
  const steps = fc.array(fc.record({ name: fc.constantFrom('a', 'b', 'c'), fails: fc.boolean() }))
  fc.assert(
    fc.property(steps, (sequence) => {
      const [together, apart] = [new Setbacks(() => 0), new Map<string, Setbacks>()]
      for (const { name, fails } of sequence) {
        const own = apart.get(name) ?? new Setbacks(() => 0)
        apart.set(name, own)
        if (fails) expect(together.failed(name)).toBe(own.failed(name))
        else for (const each of [together, own]) each.succeeded(name)
        expect(together.isDue(name)).toBe(own.isDue(name))
      }
    }),
  )
})

test('however many fail, few are remembered', () => {
  const setbacks = new Setbacks(() => 0)
  for (let n = 0; n < 12_000; n += 1) setbacks.failed(`${n}`)
  expect(setbacks.isDue('11999')).toBe(false)
  expect(setbacks.isDue('0')).toBe(true)
})
