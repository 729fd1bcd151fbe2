const UNIT_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** Milliseconds of `200ms`, `90s`, `10m`, `2h` or `30d`; undefined where the text is something else. */
export function parseDurationMs(text: string): number | undefined {
  const [, amount, unit] = /^(\d{1,9})(ms|s|m|h|d)$/.exec(text) ?? []
  if (amount === undefined) return undefined
  return Number(amount) * UNIT_MS[unit as keyof typeof UNIT_MS]
}
