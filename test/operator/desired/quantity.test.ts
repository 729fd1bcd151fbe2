import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compareQuantities, isSameQuantity, parseQuantity } from '../../../operator/desired/quantity.ts'
import { covers } from '../../../operator/plan/children/differs.ts'

const GIB = 2 ** 30

describe('quantities', () => {
  test.each([
    ['1Gi', GIB],
    ['512Mi', GIB / 2],
    ['0.1Gi', GIB / 10],
    ['250m', 0.25],
    ['1000m', 1],
    ['1400m', 1.4],
    ['1.5', 1.5],
    ['-1.5', -1.5],
    ['2e3', 2_000],
    ['2E3', 2_000],
    ['2E', 2e18],
    ['+2e+3', 2_000],
    ['1.n', 1e-9],
    ['.5k', 500],
    [4, 4],
    [0.1, 0.1],
  ])('%s is %d', (text, number) => expect(parseQuantity(text)).toBe(number))

  test('anything else is none, however large its exponent', () => {
    for (const text of ['', 'much', '1GiB', '--1', '.', '1e', '1e999999999', undefined]) {
      expect(parseQuantity(text)).toBeUndefined()
    }
  })

  test.each([
    ['10Gi', '10G', 1],
    ['9007199254740993', '9007199254740992', 1],
    ['1Mi', '1048576', 0],
    ['-1', '1n', -1],
  ])('%s compared with %s', (one, other, order) => expect(compareQuantities(one, other)).toBe(order))
})

/** 10 to the power of a suffix, and the suffixes by their powers, as in k8s.io/apimachinery/pkg/api/resource. */
const DECIMAL: Record<number, string> = {
  [-9]: 'n',
  [-6]: 'u',
  [-3]: 'm',
  0: '',
  3: 'k',
  6: 'M',
  9: 'G',
  12: 'T',
  15: 'P',
  18: 'E',
}
const BINARY = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei']

type Parts = { sign: string; digits: bigint; decimals: number; suffix: string; power10: number; power2: number }

const suffixes = fc.oneof(
  fc.constantFrom(...Object.entries(DECIMAL)).map(([power, suffix]) => ({ suffix, power10: Number(power), power2: 0 })),
  fc.integer({ min: 1, max: 6 }).map((index) => ({ suffix: BINARY[index] ?? '', power10: 0, power2: index * 10 })),
  fc
    .record({ letter: fc.constantFrom('e', 'E', 'e+', 'E+'), power10: fc.integer({ min: 0, max: 12 }) })
    .map(({ letter, power10 }) => ({ suffix: `${letter}${power10}`, power10, power2: 0 })),
  fc
    .record({ letter: fc.constantFrom('e-', 'E-'), power: fc.integer({ min: 0, max: 12 }) })
    .map(({ letter, power }) => ({ suffix: `${letter}${power}`, power10: -power, power2: 0 })),
)
const quantities: fc.Arbitrary<Parts> = fc
  .tuple(
    fc.constantFrom('', '+', '-'),
    fc.bigInt({ min: 0n, max: 10n ** 15n }),
    fc.integer({ min: 0, max: 12 }),
    suffixes,
  )
  .map(([sign, digits, decimals, suffix]) => ({ sign, digits, decimals, ...suffix }))

function textOf({ sign, digits, decimals, suffix }: Parts): string {
  const all = String(digits).padStart(decimals + 1, '0')
  const point = decimals === 0 ? '' : `.${all.slice(all.length - decimals)}`
  return `${sign}${all.slice(0, all.length - decimals)}${point}${suffix}`
}

/** How many `unit`s (a power of ten) it is, what is left over rounded away from zero as `Quantity` does. */
function roundedUp({ sign, digits, decimals, power10, power2 }: Parts, unit: number): bigint {
  const exponent = power10 - decimals - unit
  const scaled = digits * 2n ** BigInt(power2) * 10n ** BigInt(Math.max(0, exponent))
  const divisor = 10n ** BigInt(Math.max(0, -exponent))
  const size = (scaled + divisor - 1n) / divisor
  return sign === '-' ? -size : size
}

/** The largest suffix that leaves a whole number; `power` is that of `amount` at first. */
function decimalForm(amount: bigint, power: number, write: (power: number) => string | undefined): string {
  let [rest, at] = [amount, power]
  while (rest !== 0n && rest % 1_000n === 0n && write(at + 3) !== undefined) [rest, at] = [rest / 1_000n, at + 3]
  return `${rest}${rest === 0n ? '' : write(at)}`
}

/** What the API server makes of it: the canonical form, of the same family of suffixes. */
function canonical(parts: Parts, unit: number): string {
  const amount = roundedUp(parts, unit)
  const isExponent = /^[eE][+-]?\d/.test(parts.suffix)
  if (isExponent) return decimalForm(amount, unit, (power) => (power === 0 ? '' : `e${power}`))
  const one = 10n ** BigInt(-unit)
  const isSmall = amount < 1_024n * one && amount > -1_024n * one
  if (parts.power2 === 0 || isSmall || amount % one !== 0n) return decimalForm(amount, unit, (power) => DECIMAL[power])
  let [rest, index] = [amount / one, 0]
  while (rest % 1_024n === 0n && index < 6) [rest, index] = [rest / 1_024n, index + 1]
  return `${rest}${BINARY[index]}`
}

describe('a quantity that was stored', () => {
  test.each([
    ['1.4', '1400m'],
    ['0.7', '700m'],
    ['1.9', '1900m'],
    ['2.3', '2300m'],
    [1.1, '1100m'],
    ['0.1Gi', '107374182400m'],
    ['0.5Ki', '512'],
    ['1.5Gi', '1536Mi'],
    ['1e-12', '1e-9'],
    ['100u', '1m'],
  ])('%s comes back as %s and is the same', (wanted, live) => {
    expect(covers({ resources: { limits: { cpu: live } } }, { resources: { limits: { cpu: wanted } } })).toBe(true)
  })

  test.each([
    ['1.4', '1401m'],
    ['1.4', '1399m'],
    ['9007199254740993', '9007199254740992'],
    ['1Gi', '1G'],
    ['100u', '2m'],
    ['1m', '100u'],
  ])('%s was edited where it is %s', (wanted, live) =>
    expect(covers({ limits: { cpu: live } }, { limits: { cpu: wanted } })).toBe(false),
  )

  test('is the same in the canonical form of the API server, also as containers have it: in thousandths', () => {
    fc.assert(
      fc.property(quantities, fc.constantFrom(-9, -3), (parts, unit) => {
        expect(isSameQuantity(canonical(parts, unit), textOf(parts))).toBe(true)
      }),
      { numRuns: 2_000 },
    )
  })

  test('is another one where a thousandth was added', () => {
    fc.assert(
      fc.property(quantities, (parts) => {
        const other = `${roundedUp(parts, -3) + 1n}m`
        expect(isSameQuantity(other, textOf(parts))).toBe(false)
      }),
      { numRuns: 2_000 },
    )
  })
})
