const FACTORS: Record<string, number> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
}

const QUANTITY = /^([+-]?(?:\d+\.?\d*|\.\d+))(?:[eE]([+-]?\d+)|(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]))?$/

/** The number that a Kubernetes quantity stands for (`500m`, `1Gi`, `2e3`), in bytes, cores or pieces; undefined where it is none. */
export function parseQuantity(text: string | number | undefined): number | undefined {
  const [, digits, exponent, suffix] = QUANTITY.exec(String(text ?? '')) ?? []
  if (digits === undefined) return undefined
  return Number(digits) * (exponent === undefined ? (FACTORS[suffix ?? ''] ?? 1) : 10 ** Number(exponent))
}
