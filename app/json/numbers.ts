declare global {
  interface JSON {
    /** Makes JSON.stringify() write the text of a number as it is; not in the types of TypeScript yet. */
    rawJSON(text: string): unknown
  }
}

/** A number as digits, without zeros at either end, and the power of ten of the last one: 1200 and 1.2e3 are `12` and 2. */
type Decimal = { isNegative: boolean; digits: string; exponent: number }

/** Signs and the point are before it. */
const ZERO = 0x30
/** So many digits always survive a double. */
const SAFE_LENGTH = 15
/** Numbers without an exponent are in range up to here. */
const SHORT_LENGTH = 300
/** PostgreSQL keeps so many digits behind the point. */
const MAX_SCALE = 16_383

/** A number of the caller's own whose digits a double would lose: it goes on as it was written. */
export class ExactNumber {
  /** As it was written: a JSON number. */
  readonly source: string

  constructor(source: string) {
    this.source = source
  }

  /** Whether PostgreSQL and a double both can hold it, the double with fewer digits. */
  get isInRange(): boolean {
    const { source } = this
    if (source.length <= SHORT_LENGTH && !hasExponent(source)) return true
    const { digits, exponent } = toDecimal(source)
    const value = Number(source)
    const scale = Math.max(-exponent, digitsBehindPoint(source))
    return Number.isFinite(value) && (value !== 0 || digits === '') && scale <= MAX_SCALE
  }

  /** One value for JSON.stringify() for all numbers that are equal: the double, where that is as much. */
  get canonical(): unknown {
    const { source } = this
    const value = Number(source)
    if (source.length <= SAFE_LENGTH && !hasExponent(source)) return value
    const decimal = toDecimal(source)
    if (decimal.digits === '') return 0
    if (isSame(decimal, toDecimal(String(value)))) return value
    return JSON.rawJSON(`${decimal.isNegative ? '-' : ''}${decimal.digits}e${decimal.exponent}`)
  }

  toJSON(): unknown {
    return JSON.rawJSON(this.source)
  }
}

/** Whether a double keeps every digit of a JSON number, the last zeros of a fraction included: neither 1.10 nor 2^53 + 1. */
export function keepsDigits(source: string): boolean {
  const isWhole = !source.includes('.')
  // PostgreSQL prints a zero with an exponent of -16000 with as many zeros.
  if (hasExponent(source) && toDecimal(source).digits === '') return true
  if (isWhole && source.length <= SAFE_LENGTH && !hasExponent(source)) return true
  if (!isWhole && endsInZero(source)) return false
  const value = Number(source)
  return Number.isFinite(value) && isSame(toDecimal(source), toDecimal(String(value)))
}

/** The double, for a field that is read as a number; anything but an exact number as it is. */
export function plainNumber(value: unknown): unknown {
  return value instanceof ExactNumber ? toDouble(value.source) : value
}

/**
 * The double of a number in decimal digits. Up to 2^53 - 1 it is an integer only where the number is one, and on the same side
 * of every integer, however many digits it has: 4.9999999999999999999 is less than 5, 20.000000000000000001 is more than 20,
 * and where no double is between two integers it is infinite.
 */
export function toDouble(source: string): number {
  const nearest = Number(source)
  if (!Number.isInteger(nearest)) return nearest
  const { digits, exponent } = toDecimal(source)
  const magnitude = Math.abs(nearest)
  if (exponent >= 0 || magnitude > Number.MAX_SAFE_INTEGER) return nearest
  const isAbove = Number(digits.slice(0, Math.max(0, digits.length + exponent))) === magnitude
  const next = neighbour(magnitude, isAbove)
  const shifted = Number.isInteger(next) ? Number.POSITIVE_INFINITY : next
  return source.startsWith('-') ? -shifted : shifted
}

/** The double next to one that is not negative. */
function neighbour(value: number, isAbove: boolean): number {
  const double = new Float64Array([value])
  const bits = new BigInt64Array(double.buffer)
  bits[0] = (bits[0] as bigint) + (isAbove ? 1n : -1n)
  return double[0] as number
}

/** By loops: an expression that looks for the last zeros would be quadratic. */
function toDecimal(source: string): Decimal {
  const end = mantissaEnd(source)
  const first = firstDigit(source, end)
  if (first === end) return { isNegative: false, digits: '', exponent: 0 }
  const last = lastDigit(source, end)
  const digits = source.slice(first, last + 1).replace('.', '')
  const power = end < source.length ? Number(source.slice(end + 1)) : 0
  const point = source.indexOf('.')
  const unit = point < 0 ? end : point
  const exponent = power + (last < unit ? unit - 1 - last : unit - last)
  return { isNegative: source.startsWith('-'), digits, exponent }
}

function hasExponent(source: string): boolean {
  return source.includes('e') || source.includes('E')
}

function mantissaEnd(source: string): number {
  const exponent = source.search(/e/i)
  return exponent < 0 ? source.length : exponent
}

/** The first digit that is not zero; `end` where there is none. */
function firstDigit(source: string, end: number): number {
  let at = 0
  while (at < end && source.charCodeAt(at) <= ZERO) at += 1
  return at
}

/** The last digit that is not zero, where there is one. */
function lastDigit(source: string, end: number): number {
  let at = end - 1
  while (source.charCodeAt(at) <= ZERO) at -= 1
  return at
}

function endsInZero(source: string): boolean {
  return source.charCodeAt(mantissaEnd(source) - 1) === ZERO
}

function digitsBehindPoint(source: string): number {
  const point = source.indexOf('.')
  return point < 0 ? 0 : mantissaEnd(source) - point - 1
}

function isSame(one: Decimal, other: Decimal): boolean {
  return one.digits === other.digits && one.exponent === other.exponent && one.isNegative === other.isNegative
}
