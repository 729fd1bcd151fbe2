import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseExact, parseOwn } from '../../../app/json/exact.ts'
import { ExactNumber, keepsDigits, toDouble } from '../../../app/json/numbers.ts'

describe('a number', () => {
  test.each(['0', '-0', '1', '-12', '1.5', '0.1', '1e5', '1E+5', '1e-7', '123456789012345', '9007199254740992'])(
    '%s is a double',
    (source) => expect(keepsDigits(source)).toBe(true),
  )

  test.each(['0.30000000000000004', '1e300', `1${'0'.repeat(300)}`, '5e-324', '1.7976931348623157e308'])(
    '%s is a double',
    (source) => expect(keepsDigits(source)).toBe(true),
  )

  test.each([
    '9007199254740993',
    '-9007199254740993',
    '0.1234567890123456789',
    '1.10',
    '1.0',
    '0.00',
    '1e400',
    '1e-400',
  ])('%s is none', (source) => expect(keepsDigits(source)).toBe(false))

  test('that JavaScript wrote is always a double', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        expect(keepsDigits(JSON.stringify(value))).toBe(true)
      }),
    )
  })

  test.each([
    ['1e400', false],
    ['-1e400', false],
    ['1e-400', false],
    [`0.${'0'.repeat(400)}1`, false],
    ['0e-400', true],
    [`0.1${'0'.repeat(16_382)}`, true],
    [`0.1${'0'.repeat(16_383)}`, false],
    [`1.${'1'.repeat(299)}e-20`, true],
    ['9007199254740993', true],
  ])('%s is in range: %s', (source, isInRange) => expect(new ExactNumber(source).isInRange).toBe(isInRange))

  test('has one canonical form for each value', () => {
    const canonical = (source: string) => JSON.stringify(new ExactNumber(source).canonical)
    expect(['1.10', '1.1', '11e-1', '0.110e1', '1.1000000000000000000'].map(canonical)).toEqual(Array(5).fill('1.1'))
    expect(['0.0', '-0.0', '0e5', '0.00000000000000000000'].map(canonical)).toEqual(Array(4).fill('0'))
    const large = ['9007199254740993', '9007199254740993.0', '90071992547409.93e2', '9007199254740993000e-3']
    expect(new Set(large.map(canonical)).size).toBe(1)
    expect(canonical('9007199254740993')).not.toBe(canonical('9007199254740994'))
    expect(canonical('-9007199254740993')).not.toBe(canonical('9007199254740993'))
  })

  test('has equal canonical forms where and only where the values are equal', () => {
    const decimal = fc.tuple(
      fc.bigInt({ min: -(10n ** 20n), max: 10n ** 20n }),
      fc.integer({ min: 0, max: 3 }),
      fc.integer({ min: -3, max: 3 }),
    )
    fc.assert(
      fc.property(decimal, decimal, ([a, zeros, power], [b, moreZeros, otherPower]) => {
        const write = (digits: bigint, extra: number, exponent: number) =>
          `${digits * 10n ** BigInt(extra)}e${exponent - extra}`
        const isEqual = a * 10n ** BigInt(power + 3) === b * 10n ** BigInt(otherPower + 3)
        const [one, other] = [write(a, zeros, power), write(b, moreZeros, otherPower)].map((source) =>
          JSON.stringify(new ExactNumber(source).canonical),
        )
        expect(one === other).toBe(isEqual)
        expect(JSON.stringify(new ExactNumber(write(a, moreZeros, power)).canonical)).toBe(one)
      }),
    )
  })
})

describe('the double of a number', () => {
  test.each([
    ['5', 5],
    ['5.0', 5],
    ['5e0', 5],
    ['0.50e1', 5],
    ['-0', -0],
    ['0e-400', 0],
    ['0.1', 0.1],
    ['0.1000000000000000000001', 0.1],
    ['4.9999999999999999999999', 4.999999999999999],
    ['5.0000000000000000000001', 5.000000000000001],
    ['-4.9999999999999999999999', -4.999999999999999],
    ['499999999999999999999999e-23', 4.999999999999999],
    ['1e-400', 5e-324],
    ['-1e-400', -5e-324],
    ['2147483647.0000000001', 2147483647.0000002],
    ['9007199254740991.0', Number.MAX_SAFE_INTEGER],
    ['4503599627370495.9999', 4503599627370495.5],
    ['4503599627370497.25', Number.POSITIVE_INFINITY],
    ['-4503599627370497.25', Number.NEGATIVE_INFINITY],
    ['1e51', 1e51],
    [`1${'0'.repeat(51)}.10`, 1e51],
    ['9007199254740993', 9007199254740992],
    ['1e400', Number.POSITIVE_INFINITY],
  ])('%s is %d', (source, value) => expect(toDouble(source)).toBe(value))

  test('is an integer only where the number is one, and on its side of all integers', () => {
    const whole = fc.bigInt({ min: -(2n ** 52n) + 1n, max: 2n ** 52n - 1n })
    const fraction = fc.oneof(
      fc.stringMatching(/^\d{1,30}$/),
      fc.constantFrom('0'.repeat(30), `${'0'.repeat(30)}1`, '9'.repeat(30)),
    )
    fc.assert(
      fc.property(whole, fraction, (before, behind) => {
        const double = toDouble(`${before}.${behind}`)
        const isWhole = /^0*$/.test(behind)
        expect(Number.isInteger(double)).toBe(isWhole)
        const towardsZero = Math.trunc(double)
        expect(BigInt(towardsZero)).toBe(before)
      }),
    )
  })
})

describe('JSON that is read exactly', () => {
  test('is read at any depth', () => {
    for (const depth of [199, 200, 201, 5_000]) {
      const deep = `${'[{"a ]":'.repeat(depth)}[1, 2.50]${'}]'.repeat(depth)}`
      const read = parseExact(`{"items":${deep},"count":4.9999999999999999999999,"last":"x"}`) as { count: number }
      expect(read.count).toBeLessThan(5)
      expect(JSON.stringify({ ...read, items: 0 })).toBe('{"items":0,"count":4.999999999999999,"last":"x"}')
    }
  })

  test('keeps what a double would lose in metadata and payload, and nowhere else', () => {
    const numbers = '[9007199254740993,{"a":0.1234567890123456789},1.10,5]'
    const read = parseExact(`{"priority":1.0,"payload":${numbers},"again":{"payload":{"x":1.10},"priority":2.0}}`)
    expect(JSON.stringify(read)).toBe(`{"priority":1,"payload":${numbers},"again":{"payload":{"x":1.10},"priority":2}}`)
  })

  test('is what it was, where a number is no double', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.bigInt(), fc.bigInt({ min: 0n })), { minLength: 1 }), (pairs) => {
        const json = `[${pairs.map(([whole, fraction]) => `${whole}.${fraction}`).join(',')}]`
        expect(JSON.stringify(parseOwn(json))).toBe(json)
      }),
    )
  })
})

test.each(['0.0e-16000', '-0.0E-16000', '0e-99999', '0.00e-16383', '0.0e16000'])(
  'a zero with an exponent is a plain zero: %s would be printed with all its places',
  (source) => expect(keepsDigits(source)).toBe(true),
)
