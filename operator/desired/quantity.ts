type Power = { ten?: number; two?: number }

const SUFFIXES: Record<string, Power> = {
  n: { ten: -9 },
  u: { ten: -6 },
  m: { ten: -3 },
  k: { ten: 3 },
  M: { ten: 6 },
  G: { ten: 9 },
  T: { ten: 12 },
  P: { ten: 15 },
  E: { ten: 18 },
  Ki: { two: 10 },
  Mi: { two: 20 },
  Gi: { two: 30 },
  Ti: { two: 40 },
  Pi: { two: 50 },
  Ei: { two: 60 },
}

const QUANTITY = /^([+-]?)(?=\.?\d)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+)|(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]))?$/
// No quantity of anything needs more, and a power of ten takes memory.
const LARGEST_EXPONENT = 100
const NANOS = 1_000_000_000n
const NANOS_PER_MILLI = 1_000_000n

type Text = string | number | undefined

/** The number that a Kubernetes quantity stands for (`500m`, `1Gi`, `2e3`), in bytes, cores or pieces; undefined where it is none. */
export function parseQuantity(text: Text): number | undefined {
  const nanos = nanosOf(text)
  // By its decimal digits, which are rounded once.
  return nanos === undefined ? undefined : Number(`${nanos}e-9`)
}

/** Below 0, 0 or above 0 as in `sort`, exactly; what is no quantity counts as 0. */
export function compareQuantities(one: Text, other: Text): number {
  const difference = (nanosOf(one) ?? 0n) - (nanosOf(other) ?? 0n)
  return difference === 0n ? 0 : difference < 0n ? -1 : 1
}

/**
 * Whether the API server may have made `live` of `wanted`. It writes quantities its own way (`1.4` comes back as `1400m`), and
 * rounds those of containers up to thousandths.
 */
export function isSameQuantity(live: Text, wanted: Text): boolean {
  const [has, asked] = [nanosOf(live), nanosOf(wanted)]
  if (has === undefined || asked === undefined) return false
  return has === asked || has === divideUp(asked, NANOS_PER_MILLI) * NANOS_PER_MILLI
}

/** In billionths, the smallest unit that Kubernetes knows; it rounds up to that. */
function nanosOf(text: Text): bigint | undefined {
  const [, sign, whole = '', decimals = '', exponent = '0', suffix = ''] = QUANTITY.exec(String(text ?? '')) ?? []
  const given = Number(exponent)
  if (sign === undefined || Math.abs(given) > LARGEST_EXPONENT) return undefined
  const { ten = 0, two = 0 } = SUFFIXES[suffix] ?? {}
  const power = given + ten - decimals.length
  const digits = BigInt(`${whole}${decimals}`) * 2n ** BigInt(two) * NANOS
  const size = power >= 0 ? digits * 10n ** BigInt(power) : divideUp(digits, 10n ** BigInt(-power))
  return sign === '-' ? -size : size
}

/** Away from zero. */
function divideUp(value: bigint, divisor: bigint): bigint {
  const rest = value % divisor
  return value / divisor + (rest === 0n ? 0n : rest > 0n ? 1n : -1n)
}
