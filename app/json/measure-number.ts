const MINUS = 0x2d
const POINT = 0x2e
const ZERO = 0x30
const NINE = 0x39

/** So many digits always survive a double. */
const SAFE_DIGITS = 15
/** No double has more digits before its point, or more zeros behind it. */
const MOST_DIGITS = 300
/** `e99` */
const SAFE_EXPONENT_BYTES = 3

/** Of a longer number the rest is measured as a number of its own: none of them is in range. */
export const MAX_NUMBER_BYTES = 65_536
/** Without zeros a number as large or small as this has an exponent. */
const LONG_DIGITS = 25
const EXPONENT_BYTES = 4
/** A longer number is kept as it was written, or in no range. */
const DOUBLE_BYTES = 400

/** A number in bytes: where it ends, bytes of its shortest form at least, and whether a double might lose digits of it. */
export type MeasuredNumber = { end: number; minBytes: number; isDoubtful: boolean }

/** Measures the number that begins at a place, without reading it. */
export function measureNumber(bytes: Buffer, start: number): MeasuredNumber {
  const mantissa = measureMantissa(bytes, start)
  const { digits, significant, endsInZero } = mantissa
  let { end } = mantissa
  if (end - start < MAX_NUMBER_BYTES) end = endOfExponent(bytes, end)
  const isLong = significant > SAFE_DIGITS || digits > MOST_DIGITS || end - mantissa.end > SAFE_EXPONENT_BYTES
  const shortest = Math.max(1, significant) + (digits > LONG_DIGITS ? EXPONENT_BYTES : 0)
  const minBytes = end - start > DOUBLE_BYTES ? end - start : shortest
  return { end, minBytes, isDoubtful: isLong || endsInZero }
}

/** Where the digits of the number that begins here end, where it is a short integer and no more; otherwise -1. */
export function endOfShort(bytes: Buffer, start: number): number {
  const last = Math.min(start + SAFE_DIGITS, bytes.length - 1)
  let at = start + 1
  while (at < last && isDigit(bytes[at])) at += 1
  return isPartOfMantissa(bytes[at]) || isPartOfExponent(bytes[at]) ? -1 : at
}

/** `significant` counts from the first digit that is not zero to the last one; `endsInZero`: behind a point. */
function measureMantissa(bytes: Buffer, start: number) {
  let end = start
  let digits = 0
  let leading = 0
  let significant = 0
  let hasPoint = false
  for (let byte = bytes[end]; isPartOfMantissa(byte) && end - start < MAX_NUMBER_BYTES; byte = bytes[end]) {
    end += 1
    if (byte === POINT) hasPoint = true
    if (byte < ZERO) continue
    digits += 1
    if (byte !== ZERO) significant = digits - leading
    else if (significant === 0) leading = digits
  }
  return { end, digits, significant, endsInZero: hasPoint && bytes[end - 1] === ZERO }
}

function isDigit(byte: number | undefined): byte is number {
  return byte !== undefined && byte >= ZERO && byte <= NINE
}

function isPartOfMantissa(byte: number | undefined): byte is number {
  return isDigit(byte) || byte === POINT || byte === MINUS
}

function endOfExponent(bytes: Buffer, start: number): number {
  let end = start
  while (isPartOfExponent(bytes[end]) && end - start < MAX_NUMBER_BYTES) end += 1
  return end
}

/** `e`, `E`, a sign or a digit. */
function isPartOfExponent(byte: number | undefined): boolean {
  return isDigit(byte) || byte === 0x65 || byte === 0x45 || byte === MINUS || byte === 0x2b
}
